"""What `sample.py` is asked to complete: each image under each of its masks."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcnn_keras.commands.outcome import say
from pcnn_keras.data.images import list_images
from pcnn_keras.data.masks import mask_kind, mask_of
from pcnn_keras.data.prepare import Picture
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
    """The cases of images, image after image; read when they are asked for, so that few are held at a time.

    One that cannot be read, or has no mask that fits, is named on stderr and left out, unless it is the only one.

    Args:
        names: of the images: the paths of files, or data set and number.
        read: of the number of an image its levels `(height, width, channels)`, and the `Picture` of a file or None.
        masks: `Masks`.
        seed: of all images' noise, or None: i for image i.
        files: the paths, if they are of files.

    Attributes:
        files: the same.
        failed: how many were left out so far.
    """

    def __init__(self, names, read, masks, seed, files=()):
        self.files, self.failed = files, 0
        self._names, self._read, self._masks, self._seed = names, read, masks, seed

    def __len__(self):
        return len(self._names)

    def __iter__(self) -> Iterator[list[Case]]:
        for i in range(len(self)):
            try:
                yield self._of_image(i)
            except InputError as error:
                if len(self) == 1:
                    raise
                self.failed += 1
                say(error)

    def _of_image(self, i):
        levels, picture = self._read(i)
        name, image = str(self._names[i]), levels.astype(np.int32)
        of_noise = i if self._seed is None else self._seed
        of_masks = ((self._seed or 0) + i) % 2**63
        return [Case(name, mask_name, image, mask, of_noise, picture.done if picture else "")
                for mask_name, mask in self._masks.of(name, of_masks, picture)]

    def left_out(self) -> InputError:
        """The error that says how many images were left out."""
        return InputError(f"{self.failed} of {len(self)} images were left out: see above.")


def stacked(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and masks `(n, height, width, 1)` of a list of cases."""
    return np.stack([case.image for case in cases]), np.stack([case.mask for case in cases])
