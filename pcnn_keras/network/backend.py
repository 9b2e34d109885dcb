"""What is asked of Keras's own settings: single precision whatever its policy, TensorFlow where nothing else works."""

from contextlib import contextmanager

import keras

from pcnn_keras.errors import InputError


@contextmanager
def single_precision():
    """`with single_precision():`, or as a decorator: what Keras makes meanwhile is float32.

    Both samplers have to draw the same, and likelihoods are sums over thousands of terms: another precision
    would have to be asked for, not come from a setting that was made for something else.
    """
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def expect_tensorflow(what):
    """An `InputError` that says the way on if Keras runs on something else than TensorFlow, which `what` needs."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(f"{what} needs Keras on TensorFlow. Received: {backend!r} (the variable KERAS_BACKEND, or "
                         "keras.json). Start Python with KERAS_BACKEND=tensorflow.")
