"""Checks what callers hand over, turns it into what the network reads, and has it read."""

import numpy as np
from keras import tree

from pcnn_keras.data.pixels import scale
from pcnn_keras.data.slices import network_inputs
from pcnn_keras.errors import InputError


def check_images(config, images, masks):
    """Images and masks of a model's size as int32 arrays.

    Args:
        config: the model's `Config`.
        images: whole numbers 0 … num_levels - 1, `(batch, height, width, channels)`.
        masks: 0 and 1, `(batch, height, width, 1)`, 1 = visible.

    Raises:
        InputError: naming the shape or the values that were expected.
    """
    size = (config.height, config.width)
    images = _whole_numbers("images", images, (*size, config.channels), config.num_levels - 1)
    masks = _whole_numbers("masks", masks, (*size, 1), 1)
    if len(images) != len(masks):
        raise InputError(f"As many masks as images are needed. Received: {len(images)} images, {len(masks)} masks.")
    return images, masks


def as_array(name, values):
    """`np.asarray`; what it cannot do is an `InputError`."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"`{name}` is not an array of numbers.") from error


def _whole_numbers(name, values, shape, highest):
    values = as_array(name, values)
    if values.ndim != 4 or values.shape[1:] != shape:
        raise InputError(f"`{name}` must be of shape (batch, {', '.join(map(str, shape))}). "
                         f"Received: {values.shape}.")
    if values.dtype.kind not in "buif":
        raise InputError(f"`{name}` must hold numbers. Received: {values.dtype}.")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int32)
    if not (whole == values).all() or whole.size and (whole.min() < 0 or whole.max() > highest):
        raise InputError(f"`{name}` must hold whole numbers from 0 to {highest}.")
    return whole


def inputs_of(images, masks, config, k=0):
    """What the model reads of slice k, from checked arrays: see `data.slices.network_inputs`."""
    image = scale(images.astype(np.float32), config.num_levels)
    return network_inputs(image, masks.astype(np.float32), k, config.slices, np.concatenate, np.pad)


def predict(network, inputs, batch_size):
    """As `network.predict`, without its data pipeline: that alone takes longer than a few images do.

    Args:
        network: a Keras model.
        inputs: array or dict of arrays, as the network takes them.
        batch_size: how many images pass through the network at a time.

    Returns:
        NumPy array, or dict of arrays.

    Raises:
        InputError: if an output is not a finite number.
    """
    count = len(tree.flatten(inputs)[0])
    if not count:  # TensorFlow's fused convolutions cannot do nothing
        one = tree.map_structure(lambda x: np.zeros((1, *x.shape[1:]), x.dtype), inputs)
        return tree.map_structure(lambda x: x[:0], predict(network, one, 1))
    parts = [network.predict_on_batch(tree.map_structure(lambda x, at=start: x[at : at + batch_size], inputs))
             for start in range(0, count, batch_size)]
    outputs = tree.map_structure(lambda *outputs: np.concatenate(outputs), *parts)
    tree.map_structure(expect_finite, outputs)
    return outputs


def expect_finite(outputs):
    """An `InputError` if what came of a network, an array, is not finite: the weights are to blame."""
    if not np.isfinite(outputs).all():
        raise InputError("The model's weights overflow: what comes out is not finite.")
