"""The optimizers of `Config.optimizer`."""

import math
import re

import keras
from keras import ops


class Muon(keras.optimizers.Muon):
    """Keras's Muon, for kernels of convolutions: as matrices of a row an input and a column a filter.

    All singular values of an update are about the same (Jordan et al. 2024, kellerjordan.github.io/posts/muon), and so
    large that it is as large as one of Adam's (Liu et al. 2025, arXiv:2502.16982): both have one rate. Adam updates all
    other weights, and the kernels that make logits. Weights do not decay.

    Args:
        learning_rate: as Keras's optimizers have it.
        options: those of Keras's Muon.
    """

    def __init__(self, learning_rate, **options):
        super().__init__(learning_rate, weight_decay=None, adam_weight_decay=None,
                         exclude_layers=["^(prior|conditioning)_output/"], **options)

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or any(re.search(name, variable.path) for name in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = super().zeropower_via_newtonschulz5(ops.reshape(x, (-1, x.shape[-1])), steps)
        return ops.reshape(matrix, x.shape)

    def lr_adjust(self, x):
        rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
        return x * (self.rms_rate * math.sqrt(max(rows, columns)))


OPTIMIZERS = {"adam": keras.optimizers.Adam, "muon": Muon}
"""By name: classes that are called with `learning_rate` and `global_clipnorm`."""
