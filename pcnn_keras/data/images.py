"""Image files to bytes and back: `(height, width, channels)`, uint8, 0 … 255. Pillow does the work."""

import math
import os
import select
import stat
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pcnn_keras.errors import InputError, reason, shown
from pcnn_keras.files import COMPLETIONS, PROGRESSION
from pcnn_keras.quiet import silence

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

PATIENCE = 10
"""Seconds to wait for what comes through a pipe next."""

LARGEST_PIPED = 2**28
"""Bytes."""


def list_images(folder: Path | str, below: bool = False) -> list[Path]:
    """The image files of a folder, by name, but hidden ones.

    Args:
        folder: where they are.
        below: True for those of the folders below it, too, but of hidden ones, and without what `sample.py` has drawn.
            Links to folders are not followed.

    Raises:
        InputError: if there is no such folder, or no image in it, or one below it that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    paths = sorted(path for path in (_below(folder) if below else folder.iterdir())
                   if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir())
    if not paths:
        raise InputError(f"{folder} holds no image ({', '.join(SUFFIXES)}).")
    return paths


def _below(folder):
    """The files of a folder and of all that is below it, without what is in hidden folders."""

    def refused(error):
        raise InputError(f"{error.filename} cannot be read: {error.strerror}.") from error

    for place, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if set(COMPLETIONS) <= set(names):  # what `sample.py` has drawn
            folders[:] = [name for name in folders if not os.path.exists(os.path.join(place, name, COMPLETIONS[0]))]
            names = [name for name in names if name not in (*COMPLETIONS, PROGRESSION)]
        yield from (Path(place, name) for name in names)


def pixels_of(name: str, source: Any, channels: int | None = None) -> np.ndarray:
    """What callers have of a picture as uint8 `(h, w, channels)`.

    Args:
        name: of the argument, for the error.
        source: a path (see `read_image`), a PIL image, or uint8 `(h, w)` or `(h, w, 1 or 3)`.
        channels: 1 or 3, or None for what it holds.

    Raises:
        InputError: if it is none of these, or cannot be read.
    """
    if isinstance(source, (str, Path)):
        return read_image(source, channels)
    if isinstance(source, Image.Image):
        with _refusing(f"`{name}`"):
            return _pixels(source, channels)
    if not (isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.size
            and (source.ndim == 2 or source.ndim == 3 and source.shape[-1] in (1, 3))):
        raise InputError(f"`{name}` must be a path, a PIL image, or uint8 of shape (h, w), (h, w, 1) or (h, w, 3). "
                         f"Received: {shown(source)}.")
    image = source.reshape(*source.shape[:2], -1)
    return convert(image, channels) if channels else image


def read_image(path: Path | str, channels: int | None = None) -> np.ndarray:
    """Reads one file; the first frame if there are several, over white if it is transparent.

    Args:
        path: a file, or a pipe as a shell's <(command), of any format that Pillow reads by itself, up to
            8 bits a channel, or 16-bit grey; turned as a camera says it was held.
        channels: 1 or 3, or None for what the file holds.

    Raises:
        InputError: if the file is missing, damaged, or too large to be a picture.
    """
    Image.init()
    with _refusing(path):
        formats = [name for name in Image.OPEN if name != "EPS"]  # that runs Ghostscript
        # By its path, Pillow 12 misreads a grey TIFF that is turned.
        with _opened(path) as file, Image.open(file, formats=formats) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most and image.width * image.height > most:  # Pillow only warns, up to twice that
                raise Image.DecompressionBombError
            with silence() if image.format == "TIFF" else nullcontext():  # libtiff talks
                return _pixels(image, channels)


@contextmanager
def _refusing(name):
    """Inside, whatever Pillow and its decoders raise is an `InputError` about the picture of that name."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not an image that can be read: JPEG, PNG, WebP and the like are, HEIC is not.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has too many pixels: {Image.MAX_IMAGE_PIXELS:,} at most.") from error
    except Exception as error:  # struct.error, IndexError, MemoryError …
        raise InputError(f"{name} cannot be read: {reason(error).rstrip('.')}.") from error


@contextmanager
def _opened(path):
    """An open file to read from; what comes through a pipe is read at once, and only waited for so long."""
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISFIFO(kind):
            yield BytesIO(_piped(file.fileno()))
        elif stat.S_ISREG(kind):
            yield file
        else:
            raise ValueError("it is no file")


def _piped(pipe):
    parts, size = [], 0
    while select.select([pipe], [], [], PATIENCE)[0]:
        parts.append(os.read(pipe, 2**20))
        size += len(parts[-1])
        if not parts[-1]:
            return b"".join(parts)
        if size > LARGEST_PIPED:
            raise ValueError(f"more than {LARGEST_PIPED >> 20} MB come through the pipe")
    raise ValueError(f"nothing has come through the pipe for {PATIENCE} seconds")


def png(*pictures: np.ndarray) -> bytes:
    """A PNG file's bytes from uint8 `(height, width, 1 or 3)`; several pictures play in turn, the last one longer."""
    first, *others = map(_picture, pictures)
    file = BytesIO()
    durations = [200] * len(others) + [1200]  # milliseconds
    first.save(file, "PNG", save_all=True, append_images=others, duration=durations)
    return file.getvalue()


def _pixels(image, channels):
    if image.mode == "F" or image.mode == "I" and image.format not in ("PNG", "PPM"):
        raise ValueError("its pixels have 32 bits")
    if not image.width * image.height:
        raise ValueError("it is empty")
    image = _plain(ImageOps.exif_transpose(_see_through(image)), channels)
    return np.asarray(image).reshape(image.height, image.width, -1)


def _see_through(image):
    """The picture of a PNG file that has one transparent level or colour, with that in bytes or as alpha.

    Pillow makes bytes of levels below 8 bits, and of colours of 16, but leaves what is transparent as the file has it.
    """
    key, tile = image.info.get("transparency"), getattr(image, "tile", None)  # none once it is decoded
    raw = tile[0].args if key is not None and image.format == "PNG" and tile else ""
    if raw in ("L;2", "L;4"):
        image, highest = _decoded(image.fp), 2 ** int(raw[2:]) - 1
        image.info["transparency"] = (key & highest) * 255 // highest
    elif raw == "RGB;16B":
        image, low = _decoded(image.fp), _decoded(image.fp, "RGB;16L")  # of each two bytes the first, the second
        other = (np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)) != key
        image.putalpha(Image.fromarray(np.where(other.any(axis=-1), 255, 0).astype(np.uint8)))
    return image


def _decoded(file, raw=None):
    """A PNG file's picture; `raw`: what Pillow is to take its pixels for."""
    image = Image.open(file, formats=["PNG"])
    if raw:
        image.tile = [image.tile[0]._replace(args=raw)]
    image.load()
    return image


def _plain(image, channels):
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
        values, transparent = np.asarray(image).astype(np.int64), image.info.get("transparency")
        image = Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))
        if transparent is not None:
            image.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    grey = image.mode in ("1", "L", "LA")
    if image.mode == "P":
        grey = not np.ptp(np.asarray(image.convert("RGB")), axis=-1).any()
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels is None:
        channels = 1 if grey else 3
    return image.convert("L" if channels == 1 else "RGB")


def convert(image: np.ndarray, channels: int) -> np.ndarray:
    """Grey to colour or back: uint8 `(h, w, c)` to `(h, w, channels)`."""
    if image.shape[-1] == channels:
        return image
    mode = "L" if channels == 1 else "RGB"
    return np.asarray(_picture(image).convert(mode)).reshape(*image.shape[:2], channels)


def resize(image: np.ndarray, height: int, width: int, crop: int | None = None) -> np.ndarray:
    """Centre crop, then a filtered resize.

    Args:
        image: uint8 `(h, w, channels)`.
        height, width: of the result.
        crop: side of the centre square to keep, or None: the largest part of the result's shape.

    Returns:
        uint8 `(height, width, channels)`.
    """
    h, w = image.shape[:2]
    return cut(image, centre_box(h, w, height, width, crop), height, width)


def centre_box(h: int, w: int, height: int, width: int, crop: int | None = None) -> tuple[int, int, int, int]:
    """What `resize` keeps of `(h, w)` pixels: top, left, bottom, right."""
    if crop:
        keep_h = keep_w = min(crop, h, w)
    else:
        keep_h, keep_w = min(h, max(1, w * height // width)), min(w, max(1, h * width // height))
    top, left = (h - keep_h) // 2, (w - keep_w) // 2
    return top, left, top + keep_h, left + keep_w


def cut(image: np.ndarray, box: tuple, height: int, width: int,
        resampling: Image.Resampling = Image.Resampling.BICUBIC, beyond: Any = "constant") -> np.ndarray:
    """A part of an image, brought to size.

    Args:
        image: uint8 `(h, w, channels)`.
        box: top, left, bottom, right in pixels, whole or not, maybe beyond the image.
        height, width: of the result.
        resampling: Pillow's filter.
        beyond: what is beyond the image: "constant", black, or "edge", as `np.pad` has them.

    Returns:
        uint8 `(height, width, channels)`.
    """
    h, w = image.shape[:2]
    top, left = math.floor(box[0]), math.floor(box[1])
    bottom, right = math.ceil(box[2]), math.ceil(box[3])
    around = ((max(0, -top), max(0, bottom - h)), (max(0, -left), max(0, right - w)))
    if np.any(around):
        image = np.pad(image, (*around, (0, 0)), beyond)
    image = image[max(0, top) :][: bottom - top, max(0, left) :][:, : right - left]
    inside = (box[1] - left, box[0] - top, box[3] - left, box[2] - top)
    if image.shape[:2] == (height, width) and inside == (0, 0, width, height):
        return image
    resized = _picture(image).resize((width, height), resampling, inside)
    return np.asarray(resized).reshape(height, width, -1)


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
