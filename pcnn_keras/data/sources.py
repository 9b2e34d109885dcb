"""Data sets to bytes, split in three, and the levels of them that a model reads."""

import errno
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcnn_keras.config import Config
from pcnn_keras.data.images import SUFFIXES, convert, list_images, read_image, resize
from pcnn_keras.data.pixels import quantize
from pcnn_keras.errors import InputError, expect_kind, expect_whole, reason, shown
from pcnn_keras.quiet import bars_on_terminals

OWN_SET = re.compile(r"[^:]*(:[\d.*]+)?")
"""The name of a set of TFDS itself: its own, a config's after a slash, and a version's; `HUB:NAME` is another hub's."""

CELEBA_SIDE = 32
"""Of the paper's faces, in pixels."""

LARGEST_SIDE = 64
"""Of a slice; larger images need `size`: a slice is drawn one pixel after the other."""

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux keeps how much memory a container may use, in version 2 and 1 of its groups."""


class Splits(NamedTuple):
    """The three parts of a data set: arrays that begin with an axis of images.

    Of images uint8 `(n, height, width, channels)`, bytes 0 … 255 as `load_images` gives them, or levels
    0 … num_levels - 1 as `train` takes them, also of other types of whole numbers.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def quantized(self, num_levels: int) -> "Splits":
        """Bytes to levels; see `pixels.quantize`."""
        return Splits(*(quantize(part, num_levels) for part in self))


def load_images(dataset: str, data_dir: Path | str | None = None, size: int | None = None,
                grayscale: bool = False, slices: int = 1) -> Splits:
    """Reads a data set into memory, as bytes 0 … 255.

    Splits never change. Test is the official test split; where there is none, every tenth image.
    Validation is the last tenth of what is left for training, 5,000 images at most.

    Args:
        dataset: "digits" (scikit-learn's own, no network), "folder" (with `data_dir`), "celeba"
            (TFDS `celeb_a`, or a folder of aligned JPEGs), or the name of a TFDS image set.
        data_dir: the folder of images, of which those in folders below it are read, too; or where TFDS keeps its sets.
        size: side in pixels to bring images to, or None: 32 for celeba, otherwise as they are.
            Centre crop to a square (celeba: of half the image's width), then a filtered resize.
        grayscale: True to turn colour into grey.
        slices: the model's, see `Config`: by how much more than `LARGEST_SIDE` pixels images may have a side.

    Returns:
        `Splits` of bytes, uint8 `(n, height, width, channels)`.

    Raises:
        InputError: if the set is unknown, damaged, too small, of mixed or large sizes without `size`,
            neither prepared nor within reach, or larger than memory.
    """
    if not isinstance(dataset, str):
        raise InputError(f"The data set must be named. Received: {shown(dataset)}.")
    if data_dir is not None:
        expect_kind("data_dir", data_dir, (str, os.PathLike))
    if size is not None:
        size = expect_whole("size", size, 1, 4096)
    slices = expect_whole("slices", slices, 1, 4096)

    def prepare(image):
        if grayscale:
            image = convert(image, 1)
        if dataset == "celeba":
            side = size or CELEBA_SIDE
            image = resize(image, side, side, crop=(image.shape[1] + 1) // 2)
        elif size:
            image = resize(image, size, size)
        elif max(image.shape[:2]) > LARGEST_SIDE * slices:
            raise InputError(f"The images of {dataset!r} are {image.shape[1]} x {image.shape[0]} pixels: "
                             f"above {LARGEST_SIDE * slices} a side, --size or more --slices are needed.")
        return image

    if dataset == "digits":
        train, test = _digits(prepare), None
    elif is_of_files(dataset, data_dir):
        train, test = _folder(data_dir, prepare), None
    else:
        train, test = _tfds({"celeba": "celeb_a"}.get(dataset, dataset), data_dir, "image", prepare)
    return _split(dataset, train, test)


def load_labels(dataset: str, data_dir: Path | str | None = None) -> Splits | None:
    """The classes of the images that `load_images` gives, in the same order.

    Args and errors: as `load_images`.

    Returns:
        `Splits` of ints `(n,)`, or None if the set has no classes.
    """
    if dataset == "digits":
        return _split(dataset, _sklearn_digits().target, None)
    if dataset in ("folder", "celeba"):
        return None
    train, test = _tfds(dataset, data_dir, "label", np.asarray)
    return None if train is None else _split(dataset, train, test)


def _split(dataset, train, test):
    if test is None:
        is_test = np.arange(len(train)) % 10 == 9
        train, test = train[~is_test], train[is_test]
    held_out = min(len(train) // 10, 5000)
    if not held_out or not len(test):
        raise InputError(f"{dataset!r} has too few images to be split in three: at least 11 are needed.")
    return Splits(train[:-held_out], train[-held_out:], test)


def load_model_images(config: Config, dataset: str | None = None, data_dir: Path | str | None = None) -> Splits:
    """Levels of a data set, as a model's config has them.

    Args:
        config: the model's `Config`; images are made grey for a grey model, and brought to its side.
        dataset: as `load_images`, or None: the model's own.
        data_dir: as `load_images`.

    Returns:
        `Splits` of levels, uint8 `(n, height, width, channels)`.

    Raises:
        InputError: as `load_images`, and if the images do not fit the model.
    """
    dataset = dataset or config.dataset
    shape = (config.height, config.width, config.channels)
    side = config.height if config.height == config.width else None
    images = load_images(dataset, data_dir, side, config.channels == 1, config.slices)
    if images.test.shape[1:] != shape:
        raise InputError(f"The images of {dataset!r} are of shape {images.test.shape[1:]}, the model's of {shape}.")
    return images.quantized(config.num_levels)


def _sklearn_digits():
    from sklearn.datasets import load_digits

    return load_digits()


def _digits(prepare):
    images = (_sklearn_digits().images * (255 / 16)).round().astype(np.uint8)[..., None]
    _expect_room("digits", len(images), prepare(images[0]))
    return np.stack([prepare(image) for image in images])


def is_of_files(dataset: str, data_dir: Path | str | None) -> bool:
    """Whether a data set is a folder of images: "folder" is, and "celeba" if there are images in `data_dir` itself."""
    return dataset == "folder" or dataset == "celeba" and data_dir is not None and os.path.isdir(data_dir) and any(
        name.lower().endswith(SUFFIXES) and not name.startswith(".") for name in os.listdir(data_dir))


def _folder(folder, prepare):
    if folder is None:
        raise InputError("The data set 'folder' needs --data-dir: a folder of images.")
    paths = list_images(folder, below=True)
    for path in paths:
        if path.is_fifo():  # `read_image` would wait for each
            raise InputError(f"{path} is a pipe.")

    def read(path):
        try:
            image = read_image(path)
        except InputError as error:
            return error
        return prepare(image)

    first = next((image for image in map(read, paths) if not isinstance(image, InputError)), None)
    if first is not None:
        _expect_room(str(folder), len(paths), first)
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        images = list(pool.map(read, paths))
    if bad := [image for image in images if isinstance(image, InputError)]:
        more = [f"and {len(bad) - 5} more."] * (len(bad) > 5)
        raise InputError(" ".join([f"{len(bad)} of {len(images)} images cannot be read:", *map(str, bad[:5]), *more]))
    channels = max(image.shape[-1] for image in images)
    return _stack([convert(image, channels) for image in images], folder)


def _expect_room(name, count, image):
    """An `InputError` if images such as this one are more than memory can hold, twice: as they are put together."""
    needed, memory = 2 * count * image.nbytes, _memory()
    if needed > memory:
        raise InputError(f"{count} images of {name!r} of {image.shape[1]} x {image.shape[0]} pixels need "
                         f"{needed / 1e9:.1f} GB of memory: this machine has {memory / 1e9:.1f}.")


def _memory():
    """Bytes that this machine has, or the container that this runs in may use."""
    bytes_of = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max" in it
            bytes_of.append(int(Path(path).read_text()))
    return min(bytes_of)


def _stack(images, name):
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise InputError(f"The images of {name!r} differ in size: --size is needed.")
    return np.stack(images)


def _tfds(name, data_dir, feature, prepare):
    """A feature ("image" or "label") of train and of test (or None) of a TFDS image set; None, None without labels."""
    import tensorflow_datasets as tfds

    builder = _builder(name, data_dir)
    with _damage_said(name, data_dir):
        unfit = InputError(f"{name!r} is not a set of images with a 'train' split.")
        if "image" not in (builder.info.features or ()):
            raise unfit
        if not builder.is_prepared():
            _download(builder, data_dir)
        if "train" not in builder.info.splits:
            raise unfit
        if feature not in builder.info.features:
            return None, None
        count = sum(builder.info.splits[name].num_examples for name in ("train", "test") if name in builder.info.splits)
        wanted = tfds.decode.PartialDecoding({feature: True})

        def read(split):
            decoded = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, decoders=wanted))
            others = (example[feature] for example in decoded)
            some = list(islice(others, 100))
            values: Iterable = chain(some, others)
            if feature == "image" and max(map(np.max, some)) <= 1:  # such as binarized_mnist
                values = ((255 * image).round().astype(np.uint8) for image in values)
            elif feature == "image" and some[0].dtype != np.uint8:
                raise InputError(f"The images of {name!r} are not of bytes, but of {some[0].dtype}.")
            _expect_room(name, count, prepare(some[0]))
            found, stated = _stack([prepare(value) for value in values], name), builder.info.splits[split].num_examples
            if len(found) != stated:
                raise ValueError(f"{split} holds {len(found)} of {stated} images")
            return found

        return read("train"), read("test") if "test" in builder.info.splits else None


def _builder(name, data_dir):
    import tensorflow_datasets as tfds

    try:
        if not OWN_SET.fullmatch(name):
            raise ValueError("of another hub, which would be asked over the network")
        with _damage_said(name, data_dir) if os.path.isdir(os.path.join(_home(data_dir), name)) else nullcontext():
            return tfds.builder(name, data_dir=data_dir)
    except InputError:
        raise
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError, ImportError):
        raise InputError(f"Unknown data set {name!r}: not one of digits, folder, celeba, "
                         "nor an image set of tensorflow_datasets.") from None


@contextmanager
def _damage_said(name, data_dir):
    """What TFDS and TensorFlow raise over files that an interrupted copy leaves becomes an `InputError`."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        where = f"The data set {name!r} in {_home(data_dir)}"
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR):  # it may be whole
            raise InputError(f"{where} cannot be read ({reason(error)}).") from error
        raise InputError(f"{where} is damaged ({reason(error)}): remove it there, and prepare or copy it "
                         "again.") from error


def _home(data_dir):
    """Where TFDS keeps its sets."""
    return data_dir or os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets")


def _download(builder, data_dir):
    def missing(why):
        return InputError(f"The data set {builder.name!r} is not prepared in {_home(data_dir)} and {why}: give the "
                          "folder of a prepared one with --data-dir or TFDS_DATA_DIR, or use --dataset digits.")

    try:  # TFDS itself would retry for minutes
        urllib.request.urlopen("https://storage.googleapis.com", timeout=5).close()
    except urllib.error.HTTPError:
        pass  # it answered
    except OSError:
        raise missing("cannot be downloaded (no network)") from None
    try:
        with bars_on_terminals():
            builder.download_and_prepare()
    except Exception as error:  # quotas, checksums, disks: whatever the set's own script raises
        raise missing(f"could not be downloaded ({reason(error)})") from error
