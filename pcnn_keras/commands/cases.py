"""What `sample.py` is asked to complete: each image under each of its masks."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcnn_keras.commands.outcome import say
from pcnn_keras.data.images import list_images, read_image
from pcnn_keras.data.masks import mask_kind, mask_of
from pcnn_keras.data.pixels import quantize
from pcnn_keras.data.prepare import Picture, prepare
from pcnn_keras.errors import InputError


class Case(NamedTuple):
    """An image under a mask.

    Fields:
        file: the image's path, or data set and number.
        mask_name: as it was asked for: a specification or a path.
        image: levels `(height, width, channels)`.
        mask: `(height, width, 1)`, 1 = visible.
        seed: of the noise.
        done: how the picture was prepared, in words.
    """

    file: str
    mask_name: str
    image: np.ndarray
    mask: np.ndarray
    seed: int
    done: str = ""


class Masks:
    """The masks of each image: those of `--mask`, or the one of its name in `--mask-dir`.

    Args:
        specs: of `--mask`.
        folder: of `--mask-dir`, or None.
        size: height and width of the model's images.
        hides: whether white is hidden in mask files.
    """

    def __init__(self, specs, folder, size, hides):
        self._make = partial(mask_of, height=size[0], width=size[1], hides=hides)
        self._folder, self._named = folder, {}
        if folder:
            self._named = {path.stem: path for path in reversed(list_images(folder))}
        self._makers: list[tuple[str, Callable]] = [] if folder else [(spec, self._make(spec)) for spec in specs]

    def files(self) -> list[Path]:
        """The mask files."""
        return [*self._named.values(), *(Path(name) for name, _ in self._makers if mask_kind(name).name == "file")]

    def check(self) -> None:
        """An `InputError` if a mask file fits no image that has not a size of its own."""
        for name, make in self._makers:
            if mask_kind(name).name == "file":
                make(0)

    def __len__(self):
        """How many each image has."""
        return len(self._makers) or 1

    def of(self, file: str, seed: int, picture: Picture | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """Names and masks of an image, with the seed of random ones."""
        makers = self._makers
        if self._folder:
            path = self._named.get(Path(file).stem)
            if path is None:
                raise InputError(f"{file}: {self._folder} holds no mask of that name.")
            makers = [(str(path), self._make(path))]
        for name, make in makers:
            yield name, make(seed, picture)


class Cases:
    """The cases of image files, image after image; read when they are asked for, so that few are held at a time.

    A file that cannot be read, or has no mask that fits, is named on stderr and left out, unless it is the only one.

    Args:
        paths: of the images.
        masks: `Masks`.
        config: the model's `Config`.
        way: one of `prepare.WAYS`.
        seed: of all images' noise, or None: i for image i.

    Attributes:
        paths: of the images.
        failed: how many were left out so far.
    """

    def __init__(self, paths, masks, config, way, seed):
        self.failed = 0
        self.paths, self._masks, self._config, self._way, self._seed = paths, masks, config, way, seed

    def __len__(self):
        return len(self.paths)

    def __iter__(self) -> Iterator[list[Case]]:
        for i, path in enumerate(self.paths):
            try:
                yield self._read(i, path)
            except InputError as error:
                if len(self.paths) == 1:
                    raise
                self.failed += 1
                say(error)

    def _read(self, i, path):
        picture = prepare(read_image(path, self._config.channels), self._config, self._way)
        image = quantize(picture.image(), self._config.num_levels).astype(np.int32)
        noise, masks = seeds(self._seed, i)
        return [Case(str(path), name, image, mask, noise, picture.done)
                for name, mask in self._masks.of(str(path), masks, picture)]

    def left_out(self) -> InputError:
        """The error that says how many images were left out."""
        return InputError(f"{self.failed} of {len(self)} images were left out: see above.")


def stacked(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and masks `(n, height, width, 1)` of a list of cases."""
    return np.stack([case.image for case in cases]), np.stack([case.mask for case in cases])


def seeds(seed, i):
    """The seeds of image i: that of its noise, and that of its random masks."""
    return i if seed is None else seed, ((seed or 0) + i) % 2**63
