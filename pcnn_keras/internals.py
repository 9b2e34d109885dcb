"""What leans on things that Keras does not promise: each with its reason, and a test that notices a change.

So does `Muon` in `training.optimizers`.
"""

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_one_at_a_time = threading.Lock()


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Inside, importing these modules fails as if they were not installed; those that are imported already stay.

    Keras imports scikit-learn and pyplot where it can, for parts that are not used here. That is a fifth of the time
    that importing Keras and TensorFlow takes, and there is no setting for it.
    """
    hidden = set(modules) - set(sys.modules)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what says so
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def initializers_from(seed: int) -> Iterator[None]:
    """Inside, Keras's initializers draw from `seed`; Python's random numbers go on afterwards as if nothing had been.

    An initializer without a seed takes one from Python's `random`. `keras.utils.set_random_seed` would set that
    for good, and NumPy's and TensorFlow's numbers with it.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def weights_of_zeros() -> Iterator[None]:
    """Inside, the kernels of this thread's new layers are zeros, not drawn: a file's weights take their place.

    JAX compiles each draw, which is nearly all of the time that loading a model takes with it. A layer takes another
    initializer only by itself, so that all layers would have to hand one down.
    """
    import keras

    drawing, here = keras.initializers.VarianceScaling, threading.get_ident()
    with _one_at_a_time:
        draw = drawing.__call__

        def zeros(self, shape, dtype=None):
            return np.zeros(shape, dtype) if threading.get_ident() == here else draw(self, shape, dtype)

        drawing.__call__ = zeros
        try:
            yield
        finally:
            drawing.__call__ = draw


def build_metrics(model: Any, batch_spec: Any) -> None:
    """Makes the variables of a compiled model's metrics and losses, which Keras makes in the first step otherwise.

    A step that makes variables is traced twice, and one of several devices cannot make any; no public method makes them
    all before it.

    Args:
        model: a compiled Keras model.
        batch_spec: the `element_spec` of the data set that it will be trained with.
    """
    model._symbolic_build(data_batch=batch_spec)
