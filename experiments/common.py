"""What the experiments share: MNIST, and how a model is trained and judged."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import MNIST, Program, in_turn, machine  # noqa: E402

__all__ = ["MNIST", "Program", "in_turn", "judge", "machine", "mnist", "settings", "train_further"]


def settings(text):
    """`"merge=blocks masks=blobs;none"` as fields of `Config`."""
    from pcnn_keras import config

    kinds = {name: kind for name, kind, _ in config.settings()}
    pairs = [pair.split("=", 1) for pair in text.split()]
    if unknown := {pair[0] for pair in pairs if len(pair) < 2 or pair[0] not in kinds}:
        raise SystemExit(f"no settings NAME=VALUE: {', '.join(sorted(unknown))}")
    return {name: tuple(value.split(";")) if kinds[name] is tuple else kinds[name](value) for name, value in pairs}


def mnist(config):
    """Training levels, and the held-out batches that `train.py` judges by."""
    from pcnn_keras.data.pipeline import held_out_batches
    from pcnn_keras.data.sources import load_images
    from pcnn_keras.training.train import HELD_OUT_IMAGES

    splits = load_images("mnist").quantized(config.num_levels)
    return splits.train, held_out_batches(splits.validation[:HELD_OUT_IMAGES], config).cache()


def train_further(model, levels, steps, callbacks=(), **options):
    """Trains a model for so many steps, over which the learning rate's schedule stretches.

    `options` are those of `compile_model`.
    """
    from pcnn_keras.data.pipeline import training_batches
    from pcnn_keras.training.compile import compile_model

    compile_model(model, steps, **options)
    model.fit(training_batches(levels, model.config, 0, steps), verbose=0, shuffle=False, callbacks=[*callbacks])


def judge(model, held_out):
    """What a model makes of the held-out images, in words."""
    nats = model.evaluate(held_out, verbose=0, return_dict=True)
    return (f"{nats['logits_nats_per_image']:.2f} nats an image, conditional head alone "
            f"{nats['conditional_logits_nats_per_image']:.1f}")
