"""What `sample.py` says of completions, and the files that it leaves for each image."""

import json
import os
import re
from collections import Counter
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcnn_keras.commands.cases import Case, stacked
from pcnn_keras.commands.outcome import say
from pcnn_keras.data.images import png
from pcnn_keras.data.masks import PARAMETERS
from pcnn_keras.data.pixels import to_bytes
from pcnn_keras.errors import InputError
from pcnn_keras.files import COMPLETIONS, PROGRESSION
from pcnn_keras.inference.completions import Completed, Completions, save_grid

GRID = COMPLETIONS[0]
RESULTS = "results.jsonl"
OWN = (*COMPLETIONS, PROGRESSION, RESULTS)
PICTURE = re.compile(r"grid\.png|\d+-\d+\.png")


class Drawn(NamedTuple):
    """What was drawn.

    Fields:
        cases: n of them.
        completions: their `Completions`, ranked.
        kept: bool `(n, num_samples)`, which are shown.
        classes: what `evaluation.classifier.classify` says of the completions.
    """

    cases: list[Case]
    completions: Completions
    kept: np.ndarray
    classes: dict[str, np.ndarray]

    def part(self, start, end):
        """Of cases `start` to `end`."""
        part = slice(start, end)
        return Drawn(self.cases[part], Completions(*(values[part] for values in self.completions)), self.kept[part],
                     {name: values[part] for name, values in self.classes.items()})

    def completed(self):
        """As files and pictures show it."""
        return Completed(*stacked(self.cases), self.completions, self.kept, [*map(label, self.cases)], self.classes)

    @classmethod
    def joined(cls, parts):
        """All of several as one."""
        cases, completions, kept, classes = zip(*parts)
        return cls([*chain(*cases)], Completions(*map(np.concatenate, zip(*completions))), np.concatenate(kept),
                   {name: np.concatenate([part[name] for part in classes]) for name in classes[0]})


def label(case):
    """How a case is named on the screen and in pictures."""
    return f"{Path(case.file).name}, {Path(case.mask_name).name}"


def warn(case, unlike):
    """Of what makes completions worthless; `unlike` is what `evaluation.visible.unlike` says."""
    painted = case.mask_name.partition(":")[0] not in PARAMETERS
    if painted and case.mask.all():
        say(f"warning: mask {case.mask_name} hides nothing of {case.file}.")
    elif painted and not case.mask.any():
        say(f"warning: mask {case.mask_name} leaves nothing of {case.file} visible (see --mask-hides).")
    elif unlike:
        way = " (see --prepare)" if os.path.isfile(case.file) and case.image.shape[-1] == 1 else ""
        say(f"warning: {unlike}{way}.")


def tell(drawn):
    """Of each case, on the screen: what is hidden, the likelihoods that are shown, how often each class was drawn."""
    for i, case in enumerate(drawn.cases):
        hidden = int((case.mask == 0).sum())
        done = f"{case.done}; " * bool(case.done)
        nats = " ".join(f"{value:.1f}" for value in drawn.completions.log_likelihood[i, drawn.kept[i]]) or "none kept"
        said = f"log-likelihoods {nats}" if hidden else "nothing to draw"
        print(f"{label(case)}: {done}{hidden} of {case.mask.size} pixels hidden, {said}")
        if hidden and drawn.classes:
            print(f"  classes: {shares(drawn.classes['likeliest_class'][i].tolist())}")


def shares(classes):
    """Of a list of classes, how often each one is in it, in words: `3 in 61 %, 8 in 39 %`."""
    return ", ".join(f"{name} in {100 * count / len(classes):.0f} %" for name, count in Counter(classes).most_common())


def records(drawn, folder=None):
    """The lines of `results.jsonl`; `folder` is where `save_image` has saved them, or None."""
    for i, case in enumerate(drawn.cases):
        hidden = int((case.mask == 0).sum())
        nats_and_draws = zip(drawn.completions.log_likelihood[i].tolist(), drawn.completions.draw[i].tolist())
        for k, (nats, draw) in enumerate(nats_and_draws):
            yield json.dumps({
                "file": case.file, "mask": case.mask_name, "seed": int(case.seed), "draw": draw,
                "log_likelihood": nats, "nats_per_hidden_pixel": -nats / hidden if hidden else None,
                "picture": f"{folder.name}/{picture_name(i, k)}" if folder and drawn.kept[i, k] else None,
                **{name: values[i, k].item() for name, values in drawn.classes.items()}}) + "\n"


def picture_name(i, k):
    """The file of completion k under an image's mask i, such as `1-1.png`."""
    return f"{i + 1}-{k + 1}.png"


def save_image(folder, drawn, num_levels):
    """`grid.png` of an image's completions under its masks, and each of them as `MASK-RANK.png`, numbers from 1 up.

    If none is kept, there is no folder: `results.jsonl`, by which a later run finds it, could not name it.
    """
    if not drawn.kept.any():
        return
    folder.mkdir()
    save_grid(folder / GRID, drawn.completed(), num_levels)
    for i, k in np.argwhere(drawn.kept):
        (folder / picture_name(i, k)).write_bytes(png(to_bytes(drawn.completions.samples[i, k], num_levels)))


def files_of(output):
    """The files that an earlier run may have left in a folder, as the folder's `results.jsonl` says."""
    found = set()
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):  # it is none of ours
        for line in (output / RESULTS).read_text(encoding="utf-8").splitlines():
            name = json.loads(line)["picture"]
            if name is None:
                found.add(output / PROGRESSION)
            elif re.fullmatch(r"[^/]+/\d+-\d+\.png", name) and not name.startswith("../"):
                found |= {output / PROGRESSION, output / name, (output / name).with_name(GRID)}
    return found


def earlier_files(output):
    """What `files_of` finds; an `InputError` if what is written would replace what no run has left there."""
    found, there = files_of(output), [output / name for name in OWN if os.path.exists(output / name)]
    if there and not found:
        raise InputError(f"{there[0]} is of no earlier run, and would be replaced: another --output is needed.")
    return found


def remove(paths):
    """Removes files, as far as they are there and can be, and folders that have become empty; how many files it was."""
    count = 0
    for path in paths:
        with suppress(OSError):  # a folder that holds something else
            path.unlink()
            count += 1
            path.parent.rmdir()
    return count


def expect_room(output, files, given):
    """Foresees whether what `sample.py` writes finds its place; makes nothing.

    Args:
        output: the folder.
        files: the images that get a folder each.
        given: resolved paths that must stay as they are.

    Raises:
        InputError: if something else is there, or one of those that were given.
    """
    places, folders = [output / name for name in OWN], Folders(output)
    for folder in map(folders.of, map(str, files)):
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise InputError(f"{folder} cannot be written: it is no folder.")
        places += [path for path in folder.glob("*.png") if PICTURE.fullmatch(path.name)]
    for path in places:
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{path} cannot be written: it is no regular file.")
        if path.resolve() in given:
            raise InputError(f"{path} was given, and would be replaced: another --output is needed.")


class Folders:
    """Of each image a folder of its name in `output`; of two of one name, the second gets a number."""

    def __init__(self, output: Path):
        self._output, self._taken = output, {*OWN}

    def of(self, file: str) -> Path:
        """The next image's."""
        stem = Path(file).stem.strip(". ") or "image"
        name, count = stem, 1
        while name.casefold() in self._taken:  # as disks may have it
            count += 1
            name = f"{stem}-{count}"
        self._taken.add(name.casefold())
        return self._output / name
