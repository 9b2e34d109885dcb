"""Training that has left the numbers behind is noticed at the step, before anything is kept of it."""

import keras
import numpy as np

from pcnn_keras.training.history import JUDGED_BY


class Diverged(ArithmeticError):
    """A loss or a weight is not a finite number."""


def expect_finite(what, values):
    """Raises `Diverged` if any of the values, a number or an array, is none: `what` says what they are."""
    if not np.isfinite(values).all():
        raise Diverged(f"{what} is not a finite number")


class DivergenceWatch(keras.callbacks.Callback):
    """Raises `Diverged` as soon as a loss is not a finite number."""

    def on_train_batch_end(self, batch, logs=None):
        expect_finite("the loss", logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        expect_finite("the held-out loss", logs[JUDGED_BY])
