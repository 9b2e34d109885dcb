"""How far a run is, and how it is kept."""

import time
from typing import NamedTuple

import keras
import numpy as np

from pcnn_keras.training.history import JUDGED_BY


class Diverged(ArithmeticError):
    """A loss or a weight is not a finite number."""


def check_converging(what, values):
    """Raises `Diverged` if any of the values, a number or an array, is none: `what` says what they are."""
    if not np.isfinite(values).all():
        raise Diverged(f"{what} is not a finite number")


class Keeping(NamedTuple):
    """How a run is kept.

    Fields:
        seconds: between checkpoints inside an epoch; 0: one after every step.
        pictures: whether curves and completions are drawn after every epoch.
    """

    seconds: float = 300
    pictures: bool = True


class Run(keras.callbacks.Callback):
    """Counts a run's steps and seconds, and keeps its history, over all its resumptions.

    Raises `Diverged` as soon as a loss is not a finite number, before anything is kept of it.

    Attributes:
        folder: receives all files of the run.
        config: its `Config`.
        step: number of steps taken.
        history: a dict for each finished epoch, the rows of `history.csv`.
    """

    def __init__(self, folder, config):
        super().__init__()
        self.folder, self.config = folder, config
        self.go_on_from(0, [], 0)

    def go_on_from(self, step, history, seconds):
        """What was counted before counts too."""
        self.step, self.history = step, history
        self._started = time.monotonic() - seconds

    @property
    def seconds(self):
        """How long the run has taken, its earlier sittings too."""
        return time.monotonic() - self._started

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        check_converging("the loss", logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, "step": self.step, "seconds": round(self.seconds, 1),
                             **{name: float(value) for name, value in sorted(logs.items())}})
        check_converging("the held-out loss", logs[JUDGED_BY])
