"""Completions, and the two files that they are kept in: `grid.png` and `samples.npz`."""

from typing import NamedTuple

import numpy as np

from pcnn_keras.files import replacing


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


def save_completions(folder, images, masks, completions, num_levels, kept=None, labels=(), classes=None):
    """Writes `grid.png` and `samples.npz`.

    Args:
        folder: where to; it is there already.
        images: levels `(n, height, width, channels)`.
        masks: `(n, height, width, 1)`, 1 = visible.
        completions: `Completions` of the n images, most likely first.
        num_levels: of the model.
        kept: bool `(n, num_samples)`, which of them the grid shows; by default all.
        labels: n texts, what stands above the rows of the grid.
        classes: None, or what `evaluation.classifier.classify` says of the completions.

    Returns:
        The two paths.

    Raises:
        InputError: if the folder cannot be written to.
    """
    kept = np.ones(completions.draw.shape, bool) if kept is None else kept
    paths = [folder / "grid.png", folder / "samples.npz"]
    with replacing(paths[1]) as aside:
        np.savez_compressed(aside, image=images.astype(np.int32), mask=masks.astype(np.int32), kept=kept,
                            **completions._asdict(), **(classes or {}))
    save_grid(paths[0], images, masks, completions, num_levels, kept, labels, classes)
    return paths


def save_grid(path, images, masks, completions, num_levels, kept, labels=(), classes=None):
    """Writes a picture of the completions that are kept; see `save_completions`."""
    from pcnn_keras.plots import completion_grid  # with Matplotlib, which only pictures need

    def shown(values):
        return [of_image[k] for of_image, k in zip(values, kept)]

    completion_grid(path, images, masks, shown(completions.samples), shown(completions.log_likelihood), num_levels,
                    labels=labels, classes=shown(classes["likeliest_class"]) if classes else None)
