"""What the experiments share: settings, and how a model is trained."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import MNIST, Program, in_turn, machine  # noqa: E402

__all__ = ["MNIST", "Program", "in_turn", "log_of", "machine", "settings", "train_steps"]


def settings(text):
    """`"merge=blocks masks=blobs;none"` as fields of `Config`."""
    from pcnn_keras import config

    kinds = {name: kind for name, kind, _ in config.settings()}
    pairs = [pair.split("=", 1) for pair in text.split()]
    if unknown := {pair[0] for pair in pairs if len(pair) < 2 or pair[0] not in kinds}:
        raise SystemExit(f"no settings NAME=VALUE: {', '.join(sorted(unknown))}")
    return {name: tuple(value.split(";")) if kinds[name] is tuple else kinds[name](value) for name, value in pairs}


def log_of(probabilities, images):
    """log p of each level of images, nats: 0 at visible pixels, whose probabilities are certain."""
    return np.log(np.take_along_axis(probabilities, images[..., None], axis=-1))[..., 0]


def train_steps(model, levels, steps, callbacks=(), **options):
    """Trains a model for so many steps, over which the learning rate's schedule stretches.

    `options` are those of `compile_model`.
    """
    from pcnn_keras.data.pipeline import training_batches
    from pcnn_keras.training.compile import compile_model

    compile_model(model, steps, **options)
    model.fit(training_batches(levels, model.config, 0, steps), verbose=0, shuffle=False, callbacks=[*callbacks])
