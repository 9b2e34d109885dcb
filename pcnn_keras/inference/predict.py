"""Runs a network over arrays, a batch at a time."""

import numpy as np
from keras import tree

from pcnn_keras.errors import InputError


def batches(size, *arrays):
    """Arrays of one length, so many entries of each at a time."""
    return ([array[start : start + size] for array in arrays] for start in range(0, len(arrays[0]), size))


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
