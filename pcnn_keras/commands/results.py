"""What `sample.py` says of completions, and the files that it leaves for each image."""

import json
from pathlib import Path

import numpy as np

from pcnn_keras.commands.cases import stacked
from pcnn_keras.commands.outcome import say
from pcnn_keras.data.images import png
from pcnn_keras.data.masks import PARAMETERS
from pcnn_keras.data.pixels import to_bytes
from pcnn_keras.files import make_folder, replacing
from pcnn_keras.inference.completions import save_grid


def label(case):
    """How a case is named on the screen and in pictures."""
    return f"{Path(case.file).name}, {Path(case.mask_name).name}"


def warn(case, surprise, bound):
    """Of what makes completions worthless."""
    if case.mask.all() and case.mask_name.partition(":")[0] not in PARAMETERS:
        say(f"warning: mask {case.mask_name} hides nothing of {case.file}.")
    elif surprise > bound:
        say(f"warning: what is visible of {case.file} is unlike what the model knows: {surprise:.1f} standard "
            f"deviations less likely than expected, held-out images up to {bound:.1f} (see --prepare).")


def tell(case, nats, kept):
    """Of one case, what is hidden and the likelihoods that are shown, on the screen."""
    hidden = int((case.mask == 0).sum())
    done = f"{case.done}; " * bool(case.done)
    shown = " ".join(f"{value:.1f}" for value in nats[kept]) or "none kept"
    drawn = f"log-likelihoods {shown}" if hidden else "nothing to draw"
    print(f"{label(case)}: {done}{hidden} of {case.mask.size} pixels hidden, {drawn}")


def records(case, log_likelihood, draw):
    """The lines of `results.jsonl` of one case."""
    hidden = int((case.mask == 0).sum())
    for nats, k in zip(log_likelihood.tolist(), draw.tolist()):
        yield json.dumps({"file": case.file, "mask": case.mask_name, "seed": int(case.seed), "draw": k,
                          "log_likelihood": nats, "nats_per_hidden_pixel": -nats / hidden if hidden else None}) + "\n"


def save_image(folder, cases, result, kept, num_levels):
    """`grid.png` of an image's completions under its masks, and each of them as `MASK-RANK.png`, numbers from 1 up."""
    make_folder(folder)
    save_grid(folder / "grid.png", *stacked(cases), result, num_levels, kept, [*map(label, cases)])
    for i, (samples, shown) in enumerate(zip(result.samples, kept)):
        for rank in np.flatnonzero(shown):
            with replacing(folder / f"{i + 1}-{rank + 1}.png") as aside:
                aside.write_bytes(png(to_bytes(samples[rank], num_levels)))


class Folders:
    """Of each image a folder of its name in `output`; of two of one name, the second gets a number."""

    def __init__(self, output: Path):
        self._output, self._taken = output, {"grid.png", "samples.npz", "results.jsonl", "progression.png"}

    def of(self, file: str) -> Path:
        """The next image's."""
        name, count = Path(file).stem, 1
        while name in self._taken:
            count += 1
            name = f"{Path(file).stem}-{count}"
        self._taken.add(name)
        return self._output / name
