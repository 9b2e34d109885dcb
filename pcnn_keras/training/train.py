"""Compile, fit, keep, resume.

A run is a folder. After every epoch, and every five minutes within one, all that the run needs to
go on is in one file, `checkpoint.npz`, which is written aside and then renamed. Batches and masks
are functions of the seed and the step (see `data`), so a resumed run ends as an uninterrupted one.
"""

import csv
import json
import os
import shutil
import signal
import threading
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from keras import ops

from pcnn_keras.config import CHANGEABLE, Config
from pcnn_keras.data import pipeline
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.files import CHECKPOINT, make_folder, remove_leftovers, replacing
from pcnn_keras.network.model import build_model
from pcnn_keras.plots import completion_grid, training_curves
from pcnn_keras.training.compile import compile_model
from pcnn_keras.training.devices import Single

JUDGED_BY = "val_logits_nats_per_image"
CHECKPOINT_SECONDS = 300
HELD_OUT_IMAGES = 1000
COPIES = 10
"""Of the weights on the disk: a checkpoint has 3, and 3 aside; two model files, one aside; `serving/`."""
SMALL_FILES = 5_000_000
"""Bytes of pictures, history and graphs, roughly."""


def train(config, images, output, resume=False, strategy=None):
    """Trains a model, or goes on with a run that was stopped.

    Args:
        config: a `Config`.
        images: `sources.Images` of levels.
        output: the run's folder. Receives `config.json`, `model.keras` (best held-out likelihood),
            `last.keras`, `history.csv`, `curves.png`, `completions.png`, `checkpoint.npz` and
            `tensorboard/`.
        resume: True to go on from the folder's checkpoint.
        strategy: one of `devices.STRATEGIES`, made, or None for one device. Several machines share the
            folder: one of them writes it, all read it to resume.

    Returns:
        The `PixelConstrainedCNN` with the last weights.

    Raises:
        InputError: if the folder cannot be written, has too little space, holds a model and
            `resume` is False, or holds a run with other settings (`CHANGEABLE` ones may differ),
            other images or more steps than asked for; if images do not fit the settings, or cannot be
            shared out among the devices.
        Stopped: if the run cannot go on: Ctrl-C or SIGTERM, a loss that is not a number, a full
            disk, another machine lost. What is kept can be resumed.
    """
    output = Path(output)
    steps_per_epoch = config.steps_per_epoch or len(images.train) // config.batch_size
    if not steps_per_epoch:
        raise InputError(f"{len(images.train)} training images do not fill one batch of {config.batch_size}.")
    shape = (config.height, config.width, config.channels)
    for part in (images.train, images.validation):
        if part.shape[1:] != shape or part.max() >= config.num_levels:
            raise InputError(f"Expected images of shape {shape} and levels below {config.num_levels}. "
                             f"Received: {part.shape[1:]}, {part.max()}.")
    if resume and not (output / CHECKPOINT).is_file():
        raise InputError(f"{output} holds no {CHECKPOINT} to resume from.")
    strategy = strategy or Single()
    if config.batch_size % strategy.replicas:
        raise InputError(f"A batch of {config.batch_size} cannot be shared out evenly among "
                         f"{strategy.replicas} devices.")
    if len(images.validation) < strategy.replicas:
        raise InputError(f"{len(images.validation)} held-out images are fewer than {strategy.replicas} devices.")
    if strategy.writes and not resume:
        check_output(output)

    total_steps = steps_per_epoch * config.epochs
    with strategy.scope():
        model = build_model(config)
        compile_model(model, total_steps, strategy.optimizer)
        model.optimizer.build(model.trainable_variables)
    _check_space(output, model)
    recorder = Recorder(output, config, images, strategy)
    if resume:
        recorder.restore(model)
        if recorder.step > total_steps:
            raise InputError(f"{output} holds {recorder.step} steps already. "
                             f"Received: {config.epochs} epochs of {steps_per_epoch} steps.")
    callbacks, verbose = [recorder], 0
    if strategy.writes:
        make_folder(output)
        if resume:
            remove_leftovers(output)
        config.save(output / "config.json")
        verbose = 1 if os.isatty(1) else 2
        if keras.backend.backend() == "tensorflow":
            callbacks.append(keras.callbacks.TensorBoard(output / "tensorboard", write_graph=False))
    held_out = pipeline.held_out_batches(images.validation[:HELD_OUT_IMAGES], config, strategy.replicas).cache()
    with recorder.minding_interruptions():
        while recorder.step < total_steps:
            epoch, done = divmod(recorder.step, steps_per_epoch)
            recorder.stop_after_epoch = done > 0  # the rest of an interrupted epoch is a fit of its own
            strategy.fit(
                model, pipeline.training_batches(images.train, config, recorder.step, total_steps - recorder.step),
                held_out, initial_epoch=epoch, epochs=config.epochs, steps_per_epoch=steps_per_epoch - done,
                callbacks=callbacks, verbose=verbose,
            )
            model.stop_training = False
    return model


def check_output(output):
    """Foresees whether a new run can be kept in a folder; makes nothing.

    Raises:
        InputError: if it holds a model already, or cannot be written.
    """
    if any(os.path.exists(output / name) for name in ("model.keras", CHECKPOINT)):
        raise InputError(f"{output} holds a model already (use --resume, or another --output).")
    existing = _existing(output)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise InputError(f"{output} cannot be written: {existing} is no folder that can be written to.")


def _existing(folder):
    """The folder, or the first above it that is there."""
    return next(above for above in (folder, *folder.absolute().parents) if os.path.exists(above))


def _check_space(output, model):
    """Foresees whether a disk has room for all that a run writes."""
    needed = COPIES * 4 * model.count_params() + SMALL_FILES
    free = shutil.disk_usage(_existing(output)).free
    if free < needed:
        raise InputError(f"{output} has too little space: the run needs about {needed / 1e6:.0f} MB, "
                         f"and {free / 1e6:.0f} MB are free.")


class Recorder(keras.callbacks.Callback):
    """Counts steps; keeps checkpoints, weights, history and pictures of a run.

    Attributes:
        step: number of steps taken since the run began, over all its resumptions.
        history: a dict for each finished epoch, the rows of `history.csv`.
        stop_after_epoch: True to end `fit` at the end of the current epoch.
    """

    def __init__(self, output, config, images, strategy=None):
        super().__init__()
        self.output = Path(output)
        self._strategy = strategy or Single()
        self.step = 0
        self.history = []
        self.stop_after_epoch = False
        self._config = config
        self._fingerprint = zlib.crc32(images.validation.tobytes(), zlib.crc32(images.train.tobytes()))
        self._kept_step = None  # of the last checkpoint
        self._interrupted = False
        self._kept = build_model(config)  # what goes into the files: no optimizer, not compiled
        self._shown = images.validation[:6]
        self._metrics = None  # of an interrupted epoch, until it goes on
        self._seconds = 0.0
        self._started = self._saved = time.monotonic()

    def restore(self, model):
        """Takes over what `save` kept."""
        path = self.output / CHECKPOINT
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            run = json.loads(str(arrays["run"]))
            settings, fingerprint = Config.from_dict(run["config"]), run["fingerprint"]
            self.step, self.history, self._seconds = run["step"], run["history"], run["seconds"]
            self._metrics = [arrays[name] for name in sorted(arrays) if name.startswith("metric/")]
            variables = [(variable, arrays[name]) for variable, name in _named(model)]
        except (OSError, ValueError, KeyError, EOFError, TypeError, RecursionError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
        for name, value in settings.to_dict().items():
            if value != getattr(self._config, name) and name not in CHANGEABLE:
                raise InputError(f"Resuming needs the run's own settings: `{name}` was {value}. "
                                 f"Received: {getattr(self._config, name)}.")
        if fingerprint != self._fingerprint:
            raise InputError("Resuming needs the images that the run was started with.")
        for variable, value in variables:
            variable.assign(value)
        if self._config.schedule == "constant":
            model.optimizer.learning_rate = self._config.learning_rate
        self._kept_step = self.step

    def save(self, inside_epoch=False):
        """Writes the checkpoint aside, then renames it: a half-written one replaces nothing."""
        seconds = self._seconds + time.monotonic() - self._started
        run = {"config": self._config.to_dict(), "fingerprint": self._fingerprint, "step": self.step,
               "history": self.history, "seconds": seconds}
        arrays = {name: ops.convert_to_numpy(variable) for variable, name in _named(self.model)}
        if not all(np.isfinite(values).all() for values in arrays.values()):
            raise self._diverged("a weight is")
        if inside_epoch:
            arrays |= {f"metric/{i:03}": ops.convert_to_numpy(variable)
                       for i, variable in enumerate(self.model.metrics_variables)}
        if self._strategy.writes:
            with replacing(self.output / CHECKPOINT) as aside, open(aside, "wb") as file:
                np.savez(file, run=json.dumps(run), **arrays)
        self._kept_step, self._saved = self.step, time.monotonic()

    @contextmanager
    def minding_interruptions(self):
        """What ends training inside becomes a `Stopped` that says what is kept; before anything is, an `InputError`.

        The first Ctrl-C or SIGTERM waits for the end of the step and a checkpoint, the second does not.
        """
        def wait(*_):
            os.write(1, b"\nStopping after this step. Ctrl-C again stops at once.\n")  # print() may be at work
            self._interrupted = True
            restore()

        def restore():
            for number, handler in before.items():
                signal.signal(number, handler)

        before = {}
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            before = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except KeyboardInterrupt:
            raise self._stopped("interrupted") from None
        except ConnectionError as error:
            raise self._stopped(str(error)) from error
        except InputError as error:  # of writing
            if self._kept_step is None:
                raise
            raise self._stopped(str(error).removesuffix(".")) from error
        finally:
            restore()

    def _stop_if_interrupted(self):
        if self._strategy.any(self._interrupted):
            raise self._stopped("interrupted")

    def _stopped(self, reason, flags=""):
        if self._kept_step is None:
            return Stopped(f"Stopped at step {self.step}: {reason}. Nothing is kept yet.", None)
        return Stopped(f"Stopped at step {self.step}: {reason}. {self.output} holds the run up to step "
                       f"{self._kept_step}.", flags)

    def _diverged(self, what):
        return self._stopped(f"{what} not a finite number", f"--learning-rate {self._config.learning_rate / 2:g}")

    def on_train_begin(self, logs=None):
        if self.step == 0:  # a run that is killed early can go on, too
            self.save()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if not np.isfinite(logs["loss"]):
            raise self._diverged("the loss is")
        if self._metrics:  # they are sums, and are there only now
            with self._strategy.scope():
                for variable, value in zip(self.model.metrics_variables, self._metrics, strict=True):
                    variable.assign(ops.convert_to_tensor(variable) + value)
            self._metrics = None
        due = self._interrupted or time.monotonic() - self._saved > CHECKPOINT_SECONDS
        if batch + 1 < self.params["steps"] and self._strategy.any(due):
            self.save(inside_epoch=True)
            self._stop_if_interrupted()

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs[JUDGED_BY]):
            raise self._diverged("the held-out loss is")
        seconds = self._seconds + time.monotonic() - self._started
        best = min((row[JUDGED_BY] for row in self.history), default=np.inf)
        self.history.append({"epoch": epoch + 1, "step": self.step, "seconds": round(seconds, 1),
                             **{name: float(value) for name, value in sorted(logs.items())}})
        if self._strategy.writes:
            self._write(best=logs[JUDGED_BY] < best)
        self.save()
        self._stop_if_interrupted()
        self.model.stop_training = self.stop_after_epoch

    def _write(self, best):
        """All files of a finished epoch but the checkpoint."""
        self._kept.set_weights(self.model.get_weights())
        names = ["last.keras"] + ["model.keras"] * best
        for name in names:
            with replacing(self.output / name) as aside:
                self._kept.save(aside)
        with replacing(self.output / "history.csv") as aside, open(aside, "w", newline="") as file:
            table = csv.DictWriter(file, self.history[0])
            table.writeheader()
            table.writerows(self.history)
        training_curves(self.output / "curves.png", self.history)
        self._draw_completions()

    def _draw_completions(self):
        """`completions.png`: fixed held-out images under fixed masks and noise."""

        from pcnn_keras.inference.sampling import inpaint  # TensorFlow's, which training itself does not need

        config = self._config
        masks = pipeline.held_out_masks(len(self._shown), config)
        result = inpaint(self._kept, self._shown, masks, num_samples=6, seed=range(len(masks))).ranked()
        completion_grid(self.output / "completions.png", self._shown, masks, result.samples,
                        result.log_likelihood, config.num_levels, original=True)


def _named(model):
    """All variables that a step changes, each with its name in a checkpoint."""
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for i, variable in enumerate(variables):
            yield variable, f"{kind}/{i:03}"
