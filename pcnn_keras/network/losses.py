"""The objective (equation 4) and what is reported of it, in nats.

    maximise  log p(x_hidden | x_<i, c) + alpha · log p_cond(x_hidden | c),  averaged over images

The likelihood is a product over hidden pixels (equation 2), and what is reported is over those
alone. The loss may be, too; over all pixels, visible ones included, it led to slightly better
likelihoods of the hidden ones (docs/experiments.md).

The loss of a head is its negative log-likelihood divided by all of the batch's pixels and channels,
a constant: an image with few hidden pixels counts little, as in the average over images.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("pcnn_keras")
class CrossEntropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy from logits, over hidden pixels or over all.

    Args:
        pixels: "hidden": the sample weights (1 at hidden pixels) count; "all": they do not, as in
            the published code.
    """

    def __init__(self, pixels="hidden", from_logits=True, name="cross_entropy", **kwargs):
        super().__init__(from_logits=from_logits, name=name, **kwargs)
        self.pixels = pixels

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, y_pred, sample_weight if self.pixels == "hidden" else None)

    def get_config(self):
        return {**super().get_config(), "pixels": self.pixels}


@keras.saving.register_keras_serializable("pcnn_keras")
class Nats(keras.metrics.Metric):
    """Negative log-likelihood of the hidden pixels, in nats.

    Args:
        per: "image" or "hidden_pixel" (all colour channels of a pixel together).
        parts: of how many an image consists, of which each counts as a share (see `data.slices`).

    `update_state` takes levels `(batch, height, width, channels)`, logits of one more axis, and
    weights `(batch, height, width, 1)`: 1 at hidden pixels; without weights, all are hidden.
    """

    def __init__(self, per="image", parts=1, name=None, **kwargs):
        super().__init__(name=name or f"nats_per_{per}", **kwargs)
        self.per = per
        self.parts = parts
        self.nats = self.add_variable((), "zeros", name="nats")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is None:
            sample_weight = ops.ones_like(y_pred[..., :1, 0])
        nats = ops.sparse_categorical_crossentropy(ops.cast(y_true, "int32"), y_pred, from_logits=True)
        self.nats.assign_add(ops.sum(nats * ops.cast(sample_weight, nats.dtype)))
        count = ops.sum(sample_weight) if self.per == "hidden_pixel" else ops.shape(y_true)[0]
        self.count.assign_add(ops.cast(count, self.count.dtype) / (self.parts if self.per == "image" else 1))

    def result(self):
        return self.nats / ops.maximum(self.count, 1 / self.parts)

    def get_config(self):
        return {**super().get_config(), "per": self.per, "parts": self.parts}
