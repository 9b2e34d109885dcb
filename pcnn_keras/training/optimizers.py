"""The optimizers of `Config.optimizer`."""

import keras
from keras import ops

OUTPUTS = {"prior_output", "conditioning_output", "conditioning_weights"}
"""Layers that make logits, or weights of logits."""


@keras.saving.register_keras_serializable("pcnn_keras")
class Muon(keras.optimizers.Muon):
    """Keras's Muon, for kernels of convolutions: as matrices of a row an input and a column a filter.

    All singular values of an update are about the same (Jordan et al. 2024, kellerjordan.github.io/posts/muon), and so
    large that it is as large as one of Adam's (Liu et al. 2025, arXiv:2502.16982): both have one rate. Then weights
    under a mask, which have no gradient, are left out of it, and stay as they are. Adam updates the kernels of
    `OUTPUTS`, and all weights that are not kernels of convolutions. Weights do not decay.

    Args:
        learning_rate: as Keras's optimizers have it.
        options: those of Keras's Muon, but `exclude_layers` and `exclude_embeddings`, which change nothing.
    """

    def __init__(self, learning_rate=0.001, weight_decay=None, adam_weight_decay=None, **options):
        super().__init__(learning_rate, weight_decay=weight_decay, adam_weight_decay=adam_weight_decay, **options)

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or not OUTPUTS.isdisjoint(variable.path.split("/"))

    def zeropower_via_newtonschulz5(self, x, steps):
        update = super().zeropower_via_newtonschulz5(_matrix(x), steps)
        return ops.where(ops.equal(x, 0), 0.0, ops.reshape(update, x.shape))

    def lr_adjust(self, x):
        return ops.reshape(super().lr_adjust(_matrix(x)), x.shape)


def _matrix(kernel):
    return ops.reshape(kernel, (-1, kernel.shape[-1]))


OPTIMIZERS = {"adam": keras.optimizers.Adam, "muon": Muon}
"""By name: classes that are called with `learning_rate` and `global_clipnorm`."""
