"""Optimizer, learning rate, losses and metrics of a model's config: all of Keras, whatever its backend."""

import keras

from pcnn_keras.network.backend import single_precision
from pcnn_keras.network.losses import CrossEntropy, Nats
from pcnn_keras.training.optimizers import OPTIMIZERS

HEADS = ("logits", "conditional_logits")


@single_precision()
def compile_model(model, total_steps, optimizers=OPTIMIZERS):
    """Compiles a model with the optimizer, losses and metrics of its config.

    Args:
        model: a `PixelConstrainedCNN`.
        total_steps: length of the run, over which the learning rate's schedule stretches.
        optimizers: a class for each name that `Config.optimizer` may have.
    """
    config = model.config
    model.compile(
        optimizers[config.optimizer](learning_rate(config, total_steps), global_clipnorm=config.clip_norm or None),
        loss={head: CrossEntropy(config.loss_pixels) for head in HEADS},
        loss_weights={"logits": 1.0, "conditional_logits": config.alpha},
        weighted_metrics={head: [Nats("image", config.slices**2), Nats("hidden_pixel")] for head in HEADS},
    )


def learning_rate(config, total_steps):
    """The paper's constant rate, or a warm-up to a peak and a cosine down to zero."""
    if config.schedule == "constant":
        return config.learning_rate
    warmup = min(config.warmup_steps, total_steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total_steps - warmup, warmup_target=config.learning_rate * config.schedule_peak,
        warmup_steps=warmup)
