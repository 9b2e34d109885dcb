"""Puts a trained model into a repository of the Hugging Face Hub, from which `pcnn.load("hf://USER/REPO")` takes it."""

import json

from pcnn_keras import hub
from pcnn_keras.commands.flags import Parser
from pcnn_keras.config import Config
from pcnn_keras.errors import InputError
from pcnn_keras.files import expect_files
from pcnn_keras.training.history import HEAD, HISTORY, JUDGED_BY, best, read_history


def card(folder, config, repository):
    """What a model without a card says of itself, as Markdown, from those of a run's files that are there."""
    named = ", ".join(f"{name} {value}" for name, value in config.in_words().items())
    rows = [("settings", named), *_held_out(folder), *_evaluated(folder)]
    return f"""# {repository}

A Pixel Constrained CNN, which completes partly hidden images of {config.width} x {config.height} pixels
({config.dataset}, {config.num_levels} levels, channels: {config.channels}) and says how likely each completion is.

```python
import pcnn_keras as pcnn

model = pcnn.load("{hub.SIGN}{repository}")
```

| | |
| --- | --- |
""" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def _held_out(folder):
    if (folder / HISTORY).is_file():
        row = best(read_history(folder))
        yield "held-out images", (f"{row[JUDGED_BY]:.2f} nats per image under blobs, {row[HEAD]:.2f} by the "
                                  f"conditional head alone; at step {row['step']:.0f}")


def _evaluated(folder):
    path = folder / "evaluation.json"
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        nats = {mask: measures["sum_nats_per_image"] for mask, measures in found["masks"].items()}
        yield f"{found['images']} test images", "; ".join(
            f"{mask}: {value['mean']:.2f}{_error(value['error'])} nats per image" for mask, value in nats.items())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} holds no evaluation: python -m pcnn_keras.evaluate --model {folder} --json {path} "
                         "makes it.") from error


def _error(value):
    """Of a mean; one image has none."""
    return "" if value is None else f" ± {value:.2f}"


def main():
    parser = Parser(__doc__)
    parser.add_argument("model", metavar="MODEL", help="folder of a trained model")
    parser.add_argument("repository", metavar="USER/REPO",
                        help="where to; if it is not there, it is made, for all to see")
    parser.add_argument("--private", action="store_true", help="if it is made, only you see it")
    flags = parser.parse_args()
    expect_files(flags.model, "config.json", "model.keras")
    config = Config.load(flags.model / "config.json")
    own = (flags.model / hub.CARD).is_file()
    address = hub.upload(flags.model, flags.repository, "" if own else card(flags.model, config, flags.repository),
                         flags.private)
    print(f"Wrote {address}. To load it: pcnn.load(\"{hub.SIGN}{flags.repository}\")")
