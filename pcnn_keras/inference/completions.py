"""Completions, and the two files that they are kept in: `grid.png` and `samples.npz`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcnn_keras.files import COMPLETIONS, replacing


class Completions(NamedTuple):
    """Completions of one image, or of a batch (then with a leading batch axis).

    Fields:
        samples: int32 levels `(num_samples, height, width, channels)`.
        log_likelihood: float32 `(num_samples,)`, nats, of the untempered model.
        draw: int32 `(num_samples,)`, each one's number in draw order.
    """

    samples: np.ndarray
    log_likelihood: np.ndarray
    draw: np.ndarray

    def ranked(self) -> "Completions":
        """The same, most likely first."""
        return self.take(np.argsort(-self.log_likelihood, axis=-1, kind="stable"))

    def first(self) -> np.ndarray:
        """Of each image, the levels of the one that was drawn first, whatever its likelihood."""
        return self.take(self.draw.argmin(axis=-1)[..., None]).samples.squeeze(-4)

    def take(self, index: np.ndarray) -> "Completions":
        """Those of each image that its row of `index`, ints `(…, k)`, names, in that order."""

        def of(values):
            return np.take_along_axis(values, index.reshape(index.shape + (1,) * (values.ndim - index.ndim)),
                                      axis=index.ndim - 1)

        return Completions(*map(of, self))


class Completed(NamedTuple):
    """Images with completions of each, as files and pictures show them.

    Fields:
        images: levels `(n, height, width, channels)`.
        masks: `(n, height, width, 1)`, 1 = visible.
        completions: `Completions` of the n images, most likely first.
        kept: bool `(n, num_samples)`, which of them a grid shows.
        labels: n texts, what stands above the rows of a grid.
        classes: what `evaluation.classifier.classify` says of the completions.
    """

    images: np.ndarray
    masks: np.ndarray
    completions: Completions
    kept: np.ndarray
    labels: Sequence[str] = ()
    classes: Mapping[str, Any] = {}


def save_completions(folder: Path, completed: Completed, num_levels: int) -> list[Path]:
    """Writes `grid.png` and `samples.npz` into a folder that is there already.

    Returns:
        The two paths.

    Raises:
        InputError: if the folder cannot be written to.
    """
    grid, samples = (folder / name for name in COMPLETIONS)
    with replacing(samples) as aside:
        np.savez_compressed(aside, image=completed.images.astype(np.int32), mask=completed.masks.astype(np.int32),
                            kept=completed.kept, **completed.completions._asdict(), **completed.classes)
    save_grid(grid, completed, num_levels)
    return [grid, samples]


def save_grid(path: Path, completed: Completed, num_levels: int) -> None:
    """Writes a picture of the completions that are kept."""
    from pcnn_keras.plots import completion_grid  # with Matplotlib, which only pictures need

    def shown(values):
        return [of_image[k] for of_image, k in zip(values, completed.kept)]

    completions, classes = completed.completions, completed.classes
    completion_grid(path, completed.images, completed.masks, shown(completions.samples),
                    shown(completions.log_likelihood), num_levels, labels=completed.labels,
                    classes=shown(classes["likeliest_class"]) if classes else None)
