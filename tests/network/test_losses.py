"""The objective and its metrics against an independent computation in NumPy."""

import keras
import numpy as np
import pytest
from conftest import TINY, enlarge

from pcnn_keras.network.losses import CrossEntropy, Nats
from pcnn_keras.network.model import build_model
from pcnn_keras.training.compile import compile_model

BATCH, PIXELS = 4, 4 * 4 * 5 * 3  # every channel of every pixel of the batch


@pytest.fixture
def batch():
    """Random levels, logits and weights: of its images, the first has nothing hidden."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 5, (BATCH, 4, 5, 3)).astype(np.int32)
    logits = random.normal(0, 2, (BATCH, 4, 5, 3, 5)).astype(np.float32)
    weights = random.integers(0, 2, (BATCH, 4, 5, 1)).astype(np.float32)
    weights[0] = 0
    return levels, logits, weights


def nats(levels, logits):
    """-log softmax(logits)[level] of every channel of every pixel."""
    exponentials = np.exp(logits.astype(np.float64))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    return -np.log((probabilities * np.eye(logits.shape[-1])[levels]).sum(-1))


def test_the_hidden_loss_is_the_nats_of_hidden_pixels_over_a_constant(batch):
    levels, logits, weights = batch
    expected = (nats(levels, logits) * weights).sum() / PIXELS
    assert float(CrossEntropy("hidden")(levels, logits, weights)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_over_all_pixels_is_the_same_whatever_is_hidden(batch):
    levels, logits, weights = batch
    expected = nats(levels, logits).mean()
    for hidden in (weights, 0 * weights):
        assert float(CrossEntropy("all")(levels, logits, hidden)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_twice_as_many_hidden_pixels_are_twice_the_loss(channels):
    levels, logits = np.zeros((2, 4, 5, channels), np.int32), np.zeros((2, 4, 5, channels, 5), np.float32)
    few, many = np.zeros((2, 2, 4, 5, 1), np.float32)
    few[:, :1], many[:, :2] = 1, 1
    loss = CrossEntropy()
    assert float(loss(levels, logits, few)) == pytest.approx(np.log(5) / 4, rel=1e-5)
    assert float(loss(levels, logits, many)) == pytest.approx(2 * np.log(5) / 4, rel=1e-5)


def test_nats_are_averaged_over_images_or_hidden_pixels_of_all_batches(batch):
    levels, logits, weights = batch
    total = (nats(levels, logits) * weights).sum()
    for per, count in (("image", BATCH), ("hidden_pixel", weights.sum())):
        metric = Nats(per)
        assert float(metric.result()) == 0
        for part in (slice(0, 1), slice(1, None)):  # batches of unequal size
            metric.update_state(levels[part], logits[part], weights[part])
        assert float(metric.result()) == pytest.approx(total / count, rel=1e-5)
        metric.reset_state()
        assert float(metric.result()) == 0
        metric.update_state(levels, logits)  # without weights: everything hidden
        pixels = BATCH * (4 * 5 if per == "hidden_pixel" else 1)
        assert float(metric.result()) == pytest.approx(nats(levels, logits).sum() / pixels, rel=1e-5)


@pytest.mark.parametrize("pixels", ["hidden", "all"])
def test_the_whole_objective_is_the_first_head_plus_alpha_times_the_second(batch, pixels):
    levels, _, weights = batch
    random = np.random.default_rng(1)
    model = enlarge(build_model(TINY.replace(channels=3, num_levels=5, alpha=0.3, loss_pixels=pixels)), 2.0)
    compile_model(model, total_steps=10)
    inputs = {"image": random.random((BATCH, 4, 5, 3), np.float32),
              "conditioning": random.random((BATCH, 4, 5, 4), np.float32)}
    heads = ("logits", "conditional_logits")
    reported = model.test_on_batch(inputs, dict.fromkeys(heads, levels), dict.fromkeys(heads, weights),
                                   return_dict=True)
    outputs = {head: np.asarray(value) for head, value in model(inputs).items()}

    hidden = {head: (nats(levels, outputs[head]) * weights).sum() for head in heads}
    losses = {head: hidden[head] / PIXELS if pixels == "hidden" else nats(levels, outputs[head]).mean()
              for head in heads}
    assert abs(losses["logits"] - losses["conditional_logits"]) > 0.01  # so that alpha shows
    expected = losses["logits"] + 0.3 * losses["conditional_logits"]
    assert float(reported["loss"]) == pytest.approx(expected, rel=1e-4)
    for head in heads:
        assert float(reported[f"{head}_nats_per_image"]) == pytest.approx(hidden[head] / BATCH, rel=1e-4)
        assert float(reported[f"{head}_nats_per_hidden_pixel"]) == pytest.approx(
            hidden[head] / weights.sum(), rel=1e-4)


@pytest.mark.parametrize("original", [
    CrossEntropy("hidden"), CrossEntropy("all", reduction="sum"), Nats("image"), Nats("hidden_pixel")],
    ids=lambda original: original.name)
def test_losses_and_metrics_survive_serialization(batch, original):
    kind = keras.saving.serialize_keras_object(original)
    restored = keras.saving.deserialize_keras_object(kind)
    assert type(restored) is type(original)
    assert restored.get_config() == original.get_config()
    assert float(restored(*batch)) == pytest.approx(float(original(*batch)))
