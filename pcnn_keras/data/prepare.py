"""Pictures of people's own, on their way to a model: which part of a picture becomes the image, and how bright it is.

A centre crop takes the largest part of the model's shape. A photo of a digit goes the way that MNIST's digits went
(LeCun et al. 1998, http://yann.lecun.com/exdb/mnist): ink is bright on black, cropped to, scaled so that it fits into
20 of 28 pixels with its shape kept, and put where its centre of mass is the image's centre.

In between, a photo has light of its own. Its background is a plane, fitted by least trimmed squares (Rousseeuw 1984),
and ink is what departs from it.
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pcnn_keras.config import Config
from pcnn_keras.data.images import centre_box, convert, cut, pixels_of
from pcnn_keras.errors import InputError, expect_whole

WAYS = ("auto", "digit", "none")
"""How pictures are prepared."""

LIKE_MNIST = ("mnist", "binarized_mnist")
"""The data sets whose models get digits prepared without being asked to."""

INK_SHARE = 20 / 28
"""Of the image's side, that the ink fills."""

LARGEST = 512
"""Pixels: what is larger is reduced before its ink is looked for."""

LEAST_CONTRAST = 16
"""Of 255, between ink and background."""

FAINT = 0.25
"""Of the ink's strength: what is below is not looked at where the ink's place is measured."""

SPECK = 0.05
"""Of the largest piece of ink: what is smaller is no ink."""


class Picture(NamedTuple):
    """A picture, and the part of it that becomes a model's image.

    Fields:
        pixels: uint8 `(h, w, channels)`, as bright as the image will be; reduced by the factor `reduced`.
        size: height and width of the picture itself, in pixels.
        box: the part: top, left, bottom, right in pixels of the picture, whole or not. It may go beyond it, where the
            image is black.
        target: height and width of the image.
        reduced: whole number from 1 up.
        done: what was done, in words; "" if it is not worth telling.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    box: tuple
    target: tuple[int, int]
    reduced: int = 1
    done: str = ""

    def image(self) -> np.ndarray:
        """uint8 `(height, width, channels)`."""
        return cut(self.pixels, tuple(edge / self.reduced for edge in self.box), *self.target)

    def follow(self, painted: np.ndarray) -> np.ndarray:
        """What was painted on the picture, or on a copy of another size, uint8 of one channel, goes the same way.

        Returns:
            uint8 `(height, width, 1)`, the mean over each pixel; beyond the picture, what is at its border.
        """
        sides = zip(self.box, 2 * painted.shape[:2], 2 * self.size)
        return cut(painted, tuple(edge * own / side for edge, own, side in sides), *self.target, Image.Resampling.BOX,
                   "edge")


def prepare_digit(photo: Any, height: int = 28, width: int = 28) -> Picture:
    """A photo of a digit the way of MNIST's digits: bright on black, cropped to, scaled, centred.

    Args:
        photo: a path, a PIL image, or uint8 `(h, w)` or `(h, w, 1 or 3)`.
        height, width: of the model's images.

    Returns:
        A `Picture`, which `inpaint` and the others take as an image; `.image()` is uint8 `(height, width, 1)`,
        `.done` says what was done, and a mask of the photo's size goes the same way. Where the photo shows no ink, it
        is cropped around its centre.

    Raises:
        InputError: if the photo cannot be read or is none of these, or a size is no whole number from 1 up.
    """
    height, width = (expect_whole(name, value, 1, 4096) for name, value in (("height", height), ("width", width)))
    return digit_picture(pixels_of("photo", photo, 1), height, width)


def prepare(image: np.ndarray, config: Config, way: str = "none") -> Picture:
    """A picture, uint8 `(h, w, channels)`, as one of `WAYS` says.

    "auto" is "digit" for models of `LIKE_MNIST`, unless the picture has the model's size and is mostly dark, as their
    own images are; otherwise it is "none".

    Raises:
        InputError: for "digit" if the model is one of colour.
    """
    if way == "digit" and config.channels > 1:
        raise InputError("Pictures are prepared as digits for grey models only.")
    size = (config.height, config.width)
    if way == "auto":
        as_it_is = image.shape[:2] == size and np.median(image) < 128
        way = "digit" if config.dataset in LIKE_MNIST and config.channels == 1 and not as_it_is else "none"
    return digit_picture(image, *size) if way == "digit" else centre_picture(image, *size)


def centre_picture(image, height, width, done=""):
    """The largest part of the image's shape, around the centre of uint8 `(h, w, channels)`."""
    h, w = image.shape[:2]
    top, left, bottom, right = box = centre_box(h, w, height, width)
    if not done and (bottom - top, right - left) != (h, w):
        done = f"cropped around the centre to {right - left} x {bottom - top} of {w} x {h} pixels"
    return Picture(image, (h, w), box, (height, width), done=done)


def digit_picture(image, height, width):
    """What `prepare_digit` makes of uint8 `(h, w, channels)`."""
    from scipy.ndimage import center_of_mass  # SciPy is for digits alone, and not installed where only masks are read

    factor = -(-max(image.shape) // LARGEST)
    ink, turned = _ink(np.asarray(Image.fromarray(convert(image, 1)[..., 0]).reduce(factor), np.float32))
    body = np.where(_without_specks(ink > FAINT), ink, 0)
    if not body.any():
        return centre_picture(convert(image, 1), height, width, "no ink found, cropped around the centre")
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    scale = max((np.ptp(rows) + 1) / height, (np.ptp(columns) + 1) / width) / INK_SHARE
    starts = []
    for first, centre, side in zip((rows[0], columns[0]), center_of_mass(body), (height, width)):
        # MNIST's centres of mass are in the middle of pixel 14 of 0 … 27; whole pixels, so edges of ink stay sharp.
        before = round(side / 2 + 0.5 - (centre + 0.5 - first) / scale)
        starts.append(first - before * scale)
    box = factor * np.array([*starts, starts[0] + height * scale, starts[1] + width * scale])
    pixels = (255 * ink).round().astype(np.uint8)[..., None]
    return Picture(pixels, image.shape[:2], tuple(box), (height, width), factor,
                   "turned round, " * turned + "cropped to the ink, centred")


def _ink(grey):
    """Where ink is on a photo, float `(h, w)` of 0 to 255: its strength, 0 to 1, and whether it is the darker."""
    departure, noise = _departure(grey)
    turned = np.clip(-departure - noise, 0, None).sum() > np.clip(departure - noise, 0, None).sum()
    strength = np.clip(-departure if turned else departure, 0, None)
    strong = strength[strength > np.maximum(noise, strength.max() / 4)]
    full = np.percentile(strong, 90) if len(strong) else 0
    if full < noise + LEAST_CONTRAST:
        return np.zeros_like(grey), False
    return np.clip((strength - noise) / (full - noise), 0, 1), bool(turned)


def _departure(grey):
    """How far each pixel is from the background, and how far background goes by its own noise (three deviations)."""
    y, x = (axis.ravel() for axis in np.indices(grey.shape) / max(grey.shape))
    plane = np.stack([np.ones_like(x), x, y], axis=1)
    border = np.ones(grey.shape, bool)
    border[1:-1, 1:-1] = False
    kept = border.ravel()
    for _ in range(10):
        departure = grey.ravel() - plane @ np.linalg.lstsq(plane[kept], grey.ravel()[kept])[0]
        kept = np.abs(departure) <= np.quantile(np.abs(departure), 0.6)
    return departure.reshape(grey.shape), 3 * 1.4826 * np.median(np.abs(departure))


def _without_specks(body):
    """A bool picture without the pieces that are small beside the largest."""
    from scipy.ndimage import label, sum_labels

    pieces, count = label(body, np.ones((3, 3)))
    sizes = sum_labels(body, pieces, range(count + 1))
    return (sizes >= SPECK * sizes.max(initial=1))[pieces] & body
