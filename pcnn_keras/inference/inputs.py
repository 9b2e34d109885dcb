"""Checks what callers hand over, and turns it into what the network reads."""

from pathlib import Path

import numpy as np
from PIL import Image

from pcnn_keras.data.images import convert, pixels_of
from pcnn_keras.data.masks import mask_of
from pcnn_keras.data.pixels import as_array, quantize, scale
from pcnn_keras.data.prepare import Picture, prepare
from pcnn_keras.data.slices import network_inputs
from pcnn_keras.errors import InputError


def read_inputs(config, images, masks, names=("images", "masks")):
    """Images and masks in whatever form a caller has them, as int32 arrays.

    Args:
        config: the model's `Config`.
        images: levels 0 … num_levels - 1, `(batch, height, width, channels)`, of one image `(height, width, channels)`
            or, if it is grey, `(height, width)`; or one, or a list, of paths, PIL images and `prepare.Picture`.
        masks: 0 and 1, 1 = visible, `(batch, height, width, 1)`, of one for all images `(height, width, 1)` or
            `(height, width)`; or one for all, or a list, of what `mask_of` takes; image i has seed i.
        names: what the caller calls the two, for errors.

    Returns:
        `(batch, height, width, channels)`, `(batch, height, width, 1)`, and whether it was one image without a batch
        axis.

    Raises:
        InputError: naming what was expected and what came.
    """
    sources, single = _sources(images, (str, Path, Image.Image, Picture))
    pictures = [source if isinstance(source, Picture) else
                prepare(pixels_of(names[0], source, config.channels), config) for source in sources]
    if pictures:
        for picture in pictures:
            if picture.target != (config.height, config.width):
                raise InputError(f"`{names[0]}` holds a picture that was prepared for {picture.target[0]} x "
                                 f"{picture.target[1]} pixels, not {config.height} x {config.width}.")
        images = quantize(np.stack([convert(picture.image(), config.channels) for picture in pictures]),
                          config.num_levels)
    else:
        images, single = _with_batch_axis(names[0], images)
    images = _levels(config, images, names[0])
    sources, for_all = _sources(masks, (str, Path, Image.Image))
    if sources:
        makers = [mask_of(source, config.height, config.width) for source in sources]
        masks = [make(i, pictures[i] if i < len(pictures) else None)
                 for i, make in enumerate(makers * len(images) if for_all else makers)]
        masks = np.reshape(masks, (-1, config.height, config.width, 1))  # of no image, too
    else:
        masks, for_all = _with_batch_axis(names[1], masks)
        masks = np.repeat(masks, len(images), axis=0) if for_all else masks
    return *check_images(config, images, masks, names), single


def _sources(values, kinds):
    """Values of some kinds as a list, and whether it was one alone; an empty list if they are of none."""
    if isinstance(values, kinds):
        return [values], True
    are = isinstance(values, (list, tuple)) and all(isinstance(each, kinds) for each in values)
    return list(values) if are else [], False


def _with_batch_axis(name, values):
    """An array with four axes if it is one image without the first, or without the first and the last; whether so."""
    values = as_array(name, values)
    if values.ndim == 2:
        values = values[..., None]
    return (values[None], True) if values.ndim == 3 else (values, False)


def check_images(config, images, masks, names=("images", "masks")):
    """Images and masks of a model's size as int32 arrays.

    Args:
        config: the model's `Config`.
        images: whole numbers 0 … num_levels - 1, `(batch, height, width, channels)`.
        masks: 0 and 1, `(batch, height, width, 1)`, 1 = visible.
        names: what the caller calls the two, for errors.

    Raises:
        InputError: naming the shape or the values that were expected.
    """
    images = _levels(config, images, names[0])
    masks = _whole_numbers(names[1], masks, (config.height, config.width, 1), 1,
                           f": `{names[1]} > 127` makes them of bytes")
    if len(images) != len(masks):
        raise InputError(f"As many masks as images are needed. Received: {len(images)} images, {len(masks)} masks.")
    return images, masks


def _levels(config, images, name):
    return _whole_numbers(name, images, (config.height, config.width, config.channels), config.num_levels - 1,
                          f": `pcnn.to_levels({name}, model)` makes levels of bytes, and of floats from 0 to 1")


def _whole_numbers(name, values, shape, highest, advice=""):
    values = as_array(name, values)
    if values.ndim != 4 or values.shape[1:] != shape:
        raise InputError(f"`{name}` must be of shape (batch, {', '.join(map(str, shape))}). "
                         f"Received: {values.shape}.")
    if values.dtype.kind not in ("buif" if highest == 1 else "uif"):  # truth values are 0 and 1, not of many levels
        raise InputError(f"`{name}` must hold numbers{advice}. Received: {values.dtype}.")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int32)
    if not (whole == values).all() or whole.size and (whole.min() < 0 or whole.max() > highest):
        raise InputError(f"`{name}` must hold whole numbers from 0 to {highest}{advice}. "
                         f"Received: {values.dtype} from {values.min()} to {values.max()}.")
    return whole


def inputs_of(images, masks, config, k=0):
    """What the model reads of slice k, from checked arrays: see `data.slices.network_inputs`."""
    image = scale(images.astype(np.float32), config.num_levels)
    return network_inputs(image, masks.astype(np.float32), k, config.slices, np.concatenate, np.pad)
