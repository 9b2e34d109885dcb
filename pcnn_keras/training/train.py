"""A run from its first step, or from where it was stopped, to its last.

A run is a folder. Batches and masks are functions of the seed and the step (see `data.pipeline`), so a
resumed run ends as an uninterrupted one.
"""

import os
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext
from pathlib import Path

import keras
import numpy as np

from pcnn_keras.config import Config, settings
from pcnn_keras.data import pipeline
from pcnn_keras.data.masks import FUNCTION, parse_mask
from pcnn_keras.data.sources import Splits
from pcnn_keras.errors import InputError, expect_kind, shown
from pcnn_keras.files import CHECKPOINT, expect_files, locked, make_folder, remove_leftovers
from pcnn_keras.internals import build_metrics
from pcnn_keras.network.backend import expect_tensorflow, single_precision
from pcnn_keras.network.model import PixelConstrainedCNN, build_model
from pcnn_keras.training.checkpoint import Checkpoint, CheckpointKeeper
from pcnn_keras.training.compile import compile_model
from pcnn_keras.training.devices import Single
from pcnn_keras.training.interruptions import Signals, saying_what_is_kept
from pcnn_keras.training.optimizers import OUTPUTS
from pcnn_keras.training.pace import Pace
from pcnn_keras.training.run import Keeping, Run
from pcnn_keras.training.run_files import RunFiles, check_output, check_space, is_begun

HELD_OUT_IMAGES = 1000
"""By which weights are judged, at most."""


@single_precision()  # of metrics' sums, too
def train(config: Config, images: Splits, output: Path | str, resume: bool = False, strategy: Single | None = None,
          callbacks: Iterable[keras.callbacks.Callback] = (), keeping: Keeping | None = None,
          initial: PixelConstrainedCNN | None = None,
          masks: Iterable[str] | pipeline.MaskFunction | None = None) -> PixelConstrainedCNN:
    """Trains a model, or goes on with a run that was stopped.

    Args:
        config: a `Config`.
        images: `sources.Splits` of levels.
        output: the run's folder. Receives `config.json`, `model.keras` (best held-out likelihood),
            `last.keras`, `history.csv`, `curves.png`, `completions.png`, `checkpoint.npz` and
            `tensorboard/`.
        resume: True to go on from the folder's checkpoint.
        strategy: one of `devices.STRATEGIES`, made, or None for one device. Several machines share the
            folder: one of them writes it, all read it to resume.
        callbacks: Keras callbacks, called after the run's own and before its checkpoint. One that sets
            `stop_training` ends the run there: at the end of an epoch `train` returns, inside one it raises `Stopped`,
            with a checkpoint of that step. What they hold themselves is not kept, and for them the rest of an epoch
            that is gone on with is a training of its own.
        keeping: a `Keeping`, how often the run is kept and whether with pictures; None for the usual one.
        initial: a trained model of the same network, to start from its weights; None for fresh ones. If its
            `distribution`, or a softmax's `num_levels`, is another, the layers that make logits start afresh.
        masks: what to train with in place of `config.masks`: specifications as it has them, or a function of
            `batch, height, width, seed` (see `pipeline.check_masks`), whose name the settings then hold. A resumed
            run needs the function again.

    Returns:
        The `PixelConstrainedCNN` with the last weights.

    Raises:
        InputError: if the folder cannot be written, is being written by another run, has too little
            space, holds a model and `resume` is False, or holds a run with other settings (some may
            differ, see `Config.obstacle`), other images or mask files or more steps than asked for; if images, masks or
            initial weights do not fit the settings, or images cannot be shared out among the devices;
            if Keras does not run on TensorFlow.
        Stopped: if the run cannot go on: Ctrl-C, SIGTERM or SIGHUP, a loss that is not a number, a full
            disk, another machine lost. What is kept can be resumed.
    """
    expect_tensorflow("Training")
    expect_kind("config", config, Config)
    expect_kind("images", images, Splits)
    output = Path(expect_kind("output", output, (str, Path)))
    callbacks = [*expect_kind("callbacks", callbacks, Iterable)]
    strategy = Single() if strategy is None else expect_kind("strategy", strategy, Single)
    keeping = Keeping() if keeping is None else expect_kind("keeping", keeping, Keeping)
    config, draw = _with_masks(config, masks)
    _check_images(config, images, strategy.replicas)
    _check_masks(config, draw)
    if resume:
        expect_files(output, CHECKPOINT, of="a run to resume")
    if strategy.writes and not resume:
        check_output(output)
    steps_per_epoch = config.steps_in_epoch(len(images.train))
    total_steps = steps_per_epoch * config.epochs
    with strategy.scope():
        model = build_model(config)
        if initial is not None:
            _start_from(initial, model)
        compile_model(model, total_steps, strategy.optimizers)
        model.optimizer.build(model.trainable_variables)
    check_space(output, model)

    with _alone(output, resume) if strategy.writes else nullcontext():
        run = Run(output, config)
        checkpoint = Checkpoint(run, images, strategy.writes)
        metrics = checkpoint.restore(model) if resume else ()
        if run.step > total_steps:
            raise InputError(f"{output} holds {run.step} steps already. "
                             f"Received: {config.epochs} epochs of {steps_per_epoch} steps.")
        held_out = pipeline.held_out_batches(images.validation[:HELD_OUT_IMAGES], config, strategy.replicas)
        if strategy.writes:
            if is_begun(output):
                remove_leftovers(output)
            config.save(output / "config.json")
        with saying_what_is_kept(run, checkpoint), Signals() as signals:
            keeper = CheckpointKeeper(checkpoint, signals, strategy, keeping.seconds, metrics)
            terminal = os.isatty(1)
            writers = [
                RunFiles(run, images.validation, keeping.pictures), Pace(run, total_steps, None if terminal else 60),
                keras.callbacks.TensorBoard(output / "tensorboard", write_graph=False)] if strategy.writes else []
            all_callbacks = [run, *writers, *callbacks, keeper]  # what they change is kept, too
            while run.step < total_steps and not model.stop_training:
                began = run.step
                epoch, done = divmod(began, steps_per_epoch)
                batches = pipeline.training_batches(images.train, config, began, total_steps - began, masks=draw)
                with strategy.scope():
                    build_metrics(model, batches.element_spec)
                strategy.fit(
                    model, batches, held_out, callbacks=all_callbacks, initial_epoch=epoch,
                    epochs=epoch + 1 if done else config.epochs,  # the rest of an interrupted epoch is a fit of its own
                    steps_per_epoch=steps_per_epoch - done,
                    verbose=0 if not strategy.writes else 1 if terminal else 2)
                if run.step == began or keras.config.max_steps_per_epoch():
                    break  # Keras has a limit of its own, KERAS_MAX_EPOCHS or KERAS_MAX_STEPS_PER_EPOCH
    return strategy.outside(model)


def _with_masks(config, masks):
    """The settings with a caller's masks, and the function that draws them, or None."""
    if masks is None:
        return config, None
    if callable(masks):
        return config.replace(masks=(_name(masks),)), masks
    if isinstance(masks, str) or not isinstance(masks, Iterable):
        raise InputError(f"`masks` must be a list of mask specifications or a function. Received: {shown(masks)}.")
    return config.replace(masks=tuple(masks)), None


@contextmanager
def _alone(output, resume):
    """Makes the run's folder, and holds it."""
    make_folder(output)
    with locked(output):
        if not resume:
            check_output(output)  # another run may have ended meanwhile
        yield


def _start_from(initial, model):
    """Takes the weights of a trained model: all, or, if it says levels in another way, all but the last layers'."""
    expect_kind("initial", initial, PixelConstrainedCNN)
    said = [(each.config.distribution, each.config.values_per_channel) for each in (initial, model)]
    renewed = OUTPUTS if said[0] != said[1] else set()
    trained, fresh = ([weight for weight in each.weights if renewed.isdisjoint(weight.path.split("/"))]
                      for each in (initial, model))
    if [weight.shape for weight in trained] != [weight.shape for weight in fresh]:
        old, new = vars(initial.config), vars(model.config)
        other = [f"{name} {old[name]}" for name, _, declared in settings()
                 if declared.network and old[name] != new[name] and name not in ("num_levels", "distribution")]
        raise InputError(f"The weights to start from are those of another network: {', '.join(other)}.")
    if renewed:
        print("The layers that make logits start afresh: the trained model says levels in another way.", flush=True)
    for weight, value in zip(fresh, trained, strict=True):
        weight.assign(value)


def _check_images(config, images, replicas):
    shape = (config.height, config.width, config.channels)
    for part in (images.train, images.validation):
        if not isinstance(part, np.ndarray) or part.dtype.kind not in "iu" or part.shape[1:] != shape or not len(part):
            raise InputError(f"Expected images of shape {shape}, arrays of whole numbers. Received: "
                             f"{getattr(part, 'dtype', type(part).__name__)} {getattr(part, 'shape', '')}.")
        if part.min() < 0 or part.max() >= config.num_levels:
            raise InputError(f"Expected levels from 0 to {config.num_levels - 1}. "
                             f"Received: {part.min()} to {part.max()}.")
    if not config.steps_per_epoch and len(images.train) < config.batch_size:
        raise InputError(f"{len(images.train)} training images do not fill one batch of {config.batch_size}.")
    if config.batch_size % replicas:
        raise InputError(f"A batch of {config.batch_size} cannot be shared out evenly among {replicas} devices.")
    if len(images.validation) < replicas:
        raise InputError(f"{len(images.validation)} held-out images are fewer than {replicas} devices.")


def _check_masks(config, draw):
    if draw:
        pipeline.check_masks(draw, config)
    else:
        for spec in config.masks:
            parse_mask(spec, config.height, config.width)


def _name(function):
    """What the settings hold of a function that draws masks."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{FUNCTION}:{named.__module__}.{named.__qualname__}"
