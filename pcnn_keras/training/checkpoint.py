"""All that a run needs to go on, in one file that is written aside and then renamed.

After every epoch, and every five minutes within one. A half-written file replaces nothing.
"""

import json
import time
import zlib

import keras
import numpy as np
from keras import ops

from pcnn_keras.config import Config
from pcnn_keras.data.masks import FUNCTION, PARAMETERS, parse_mask
from pcnn_keras.errors import InputError, reason
from pcnn_keras.files import CHECKPOINT, replacing
from pcnn_keras.training.run import check_converging


class Checkpoint:
    """The file of one run.

    Args:
        run: the `Run`, whose settings, images and mask files those of the file have to be.
        images: levels that it trains on, `sources.Splits`.
        writes: False where another process writes the file.

    Attributes:
        step: of the run when it was kept last; None: nothing is kept yet.
    """

    def __init__(self, run, images, writes=True):
        self.step = None
        self._run, self._writes = run, writes
        self._path = run.folder / CHECKPOINT
        train, validation = (np.ascontiguousarray(part).data for part in (images.train, images.validation))
        self._fingerprint = zlib.crc32(validation, zlib.crc32(train))
        for spec in run.config.masks:
            if spec.partition(":")[0] not in (*PARAMETERS, FUNCTION):  # a file, which may be another by now
                mask = parse_mask(spec, run.config.height, run.config.width)(0)
                self._fingerprint = zlib.crc32(mask.data, self._fingerprint)

    def save(self, model, inside_epoch=False):
        """Keeps the run and what a step changes of a model; inside an epoch, what its metrics have added up, too."""
        run = self._run
        arrays = {name: ops.convert_to_numpy(variable) for variable, name in _named(model)}
        for values in arrays.values():
            check_converging("a weight", values)
        if inside_epoch:
            arrays |= {f"metric/{i:03}": ops.convert_to_numpy(variable)
                       for i, variable in enumerate(model.metrics_variables)}
        about = {"config": run.config.to_dict(), "fingerprint": self._fingerprint, "step": run.step,
                 "history": run.history, "seconds": run.seconds}
        if self._writes:
            with replacing(self._path) as aside, open(aside, "wb") as file:
                np.savez(file, run=json.dumps(about), **arrays)
        self.step = run.step

    def restore(self, model):
        """Goes on from what `save` kept.

        Returns:
            What the metrics of an interrupted epoch had added up, arrays; empty between epochs.

        Raises:
            InputError: if the file cannot be read, or is of a run with other settings, images or mask files.
        """
        try:
            with np.load(self._path, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays["run"]))
            settings, fingerprint = Config.from_dict(about["config"]), about["fingerprint"]
            progress = about["step"], about["history"], about["seconds"]
        except Exception as error:  # whatever the readers of zip, arrays and JSON raise
            raise InputError(f"{self._path} cannot be read: {reason(error)}.") from error
        config = self._run.config
        if name := config.obstacle(settings):
            raise InputError(f"Resuming needs the run's own settings: `{name}` was {getattr(settings, name)}. "
                             f"Received: {getattr(config, name)}.")
        if fingerprint != self._fingerprint:
            raise InputError("Resuming needs the images and mask files that the run was started with.")
        if any(name not in arrays or arrays[name].shape != tuple(variable.shape) for variable, name in _named(model)):
            raise InputError(f"{self._path} cannot be read: its weights are of other shapes.")
        for variable, name in _named(model):
            variable.assign(arrays[name])
        if config.schedule == "constant" and config.learning_rate != settings.learning_rate:
            model.optimizer.learning_rate = config.learning_rate
        self._run.go_on_from(*progress)
        self.step = self._run.step
        return [arrays[name] for name in sorted(arrays) if name.startswith("metric/")]


def _named(model):
    """All variables that a step changes, each with its name in a checkpoint."""
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for i, variable in enumerate(variables):
            yield variable, f"{kind}/{i:03}"


class CheckpointKeeper(keras.callbacks.Callback):
    """Keeps a checkpoint when it is time for one, and ends training after it if a signal has come, or if a callback
    before it has set `stop_training` inside an epoch.

    Args:
        checkpoint: the `Checkpoint`.
        signals: the `interruptions.Signals`.
        strategy: one of `devices.STRATEGIES`, made. All its processes keep a checkpoint, or none does.
        seconds: between checkpoints inside an epoch.
        metrics: what `Checkpoint.restore` returned.
    """

    def __init__(self, checkpoint, signals, strategy, seconds, metrics=()):
        super().__init__()
        self._checkpoint, self._signals, self._strategy = checkpoint, signals, strategy
        self._seconds, self._saved = seconds, time.monotonic()
        self._metrics = metrics  # of an interrupted epoch, until it goes on

    def on_train_begin(self, logs=None):
        if self._checkpoint.step is None:  # a run that is killed early can go on, too
            self._save()

    def on_epoch_begin(self, epoch, logs=None):
        if self._metrics:
            with self._strategy.scope():
                for variable, value in zip(self.model.metrics_variables, self._metrics, strict=True):
                    variable.assign(value)
            self._metrics = ()

    def on_train_batch_end(self, batch, logs=None):
        late = time.monotonic() - self._saved >= self._seconds
        due = self._signals.came or self.model.stop_training or late
        if batch + 1 < self.params["steps"] and self._strategy.any(due):
            self._save(inside_epoch=True)

    def on_epoch_end(self, epoch, logs=None):
        self._save()

    def _save(self, inside_epoch=False):
        self._checkpoint.save(self.model, inside_epoch)
        self._saved = time.monotonic()
        if self._strategy.any(self._signals.came or inside_epoch and self.model.stop_training):
            raise KeyboardInterrupt
