"""Slices: cut and put together, what the network reads of each, and what each pixel's distribution may depend on."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, enlarge

import pcnn_keras as pcnn
from pcnn_keras.data import slices as slices_module
from pcnn_keras.data.pipeline import held_out_batches, held_out_masks, training_batches
from pcnn_keras.data.slices import join, network_inputs, slice_of, visible_to_slice
from pcnn_keras.training.compile import compile_model

CONFIG = TINY.replace(height=4, width=6, merge="blocks", slices=2, conditioning_depth=3)


@pytest.mark.parametrize("slices", [1, 2, 4])
def test_joining_is_the_inverse_of_cutting(slices):
    x = np.random.default_rng(0).integers(0, 9, (2, 8, 4, 3, 2))
    parts = [slice_of(x, k, slices) for k in range(slices**2)]
    assert parts[0].shape == (2, 8 // slices, 4 // slices, 3, 2)
    np.testing.assert_array_equal(join(parts, slices), x)
    np.testing.assert_array_equal(parts[-1][0, 0, 0], x[0, slices - 1, slices - 1])


@pytest.mark.parametrize("slices", [2, 4])
def test_every_pixel_that_may_be_seen_is_read_at_its_own_phase(slices):
    """Each pixel of the image is one number: where it stands among the planes says how far it is from its cell."""
    height, width = 8, 4
    image = np.arange(1, height * width + 1, dtype=np.float32).reshape(1, height, width, 1)
    mask = np.random.default_rng(0).integers(0, 2, (1, height, width, 1)).astype(np.float32)
    for k in range(slices**2):
        found = network_inputs(image, mask, k, slices, np.concatenate, np.pad)
        seen, number = found["conditioning"][0, :, :, : -slices**2], found["conditioning"][0, :, :, -slices**2 :]
        np.testing.assert_array_equal(number, np.broadcast_to(np.arange(slices**2) == k, number.shape))
        cells = seen.reshape(*seen.shape[:2], slices, slices, 2)  # image and mask at each place in a cell
        for row, column in np.ndindex(height, width):
            earlier = row % slices * slices + column % slices < k
            at = (row - k // slices + slices, column - k % slices + slices)  # a cell stands before the first
            value = cells[at[0] // slices, at[1] // slices, at[0] % slices, at[1] % slices]
            is_seen = earlier or mask[0, row, column, 0] == 1
            np.testing.assert_array_equal(value, [image[0, row, column, 0], 1] if is_seen else [0, 0])
        assert (cells[..., 1] > 0).sum() == visible_to_slice(mask, k, slices).sum()  # and nothing else
        with_tensors = network_inputs(tf.constant(image), tf.constant(mask), k, slices, tf.concat, tf.pad)
        for name in found:
            np.testing.assert_array_equal(found[name], with_tensors[name])


def dependence(model, mask):
    """Which pixels the logits of each pixel have a gradient to, bool `(pixels, pixels)`."""
    config, rng = model.config, np.random.default_rng(0)
    pixels = config.height * config.width
    mask = tf.constant(mask[None], tf.float32)

    @tf.function
    def jacobian(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            parts = [model(slices_module.network_inputs(image, mask, k, config.slices, tf.concat, tf.pad))["logits"]
                     for k in range(config.slices**2)]
            logits = tf.reshape(join(parts, config.slices), (pixels, -1))
        return tape.jacobian(logits, image)

    images = [tf.constant(rng.random((1, config.height, config.width, 1)), tf.float32) for _ in range(3)]
    return sum(np.abs(jacobian(image)).reshape(pixels, -1, pixels).sum(axis=1) for image in images) > 0


def expected_dependence(config, mask):
    """Visible pixels, slices before, and in its own what comes before in raster order."""
    place = {at: (at[0] % config.slices * config.slices + at[1] % config.slices, at)
             for at in np.ndindex(config.height, config.width)}
    return np.array([[mask[other] == 1 or place[other] < place[at] for other in place] for at in place])


@pytest.mark.parametrize("spec", [
    "random:0.3", *(pytest.param(spec, marks=pytest.mark.full) for spec in ("none", "left:2"))])
def test_a_pixel_depends_on_what_is_visible_and_drawn_before_and_on_all_of_it(spec):
    model = enlarge(pcnn.build_model(CONFIG), 2.0)
    mask = pcnn.parse_mask(spec, 4, 6)(0)
    np.testing.assert_array_equal(dependence(model, mask), expected_dependence(CONFIG, mask[..., 0]))


@pytest.mark.full
@pytest.mark.parametrize("damage", ["shift", "order"])
def test_a_broken_shift_or_order_is_noticed(damage, monkeypatch):
    if damage == "shift":
        monkeypatch.setattr(slices_module, "slice_of", lambda x, k, slices: x[:, :: slices, :: slices])
    else:
        whole = slices_module.visible_to_slice
        monkeypatch.setattr(slices_module, "visible_to_slice", lambda mask, k, slices: whole(mask, k + 1, slices))
    model = enlarge(pcnn.build_model(CONFIG), 2.0)
    mask = pcnn.parse_mask("none", 4, 6)(0)
    assert (dependence(model, mask) != expected_dependence(CONFIG, mask[..., 0])).any()


def test_training_draws_one_slice_of_each_image_and_held_out_images_have_all():
    levels = np.random.default_rng(0).integers(0, 2, (6, 4, 6, 1)).astype(np.uint8)
    config = CONFIG.replace(batch_size=2)
    found = set()
    for inputs, targets, _ in training_batches(levels, config, 0, 20):
        assert inputs["conditioning"].shape == (2, *config.conditioning_shape)
        numbers = inputs["conditioning"][:, 0, 0, -4:].numpy().argmax(axis=-1)
        for number, target in zip(numbers, targets["logits"]):
            assert any((slice_of(image[None], number, 2)[0] == target.numpy()).all() for image in levels)
        found |= set(numbers)
    assert found == set(range(4))
    batches = list(held_out_batches(levels, config))
    assert [targets["logits"].shape for _, targets, _ in batches] == [(8, 2, 3, 1)] * 3


def test_nats_an_image_are_those_of_all_its_slices(tmp_path):
    levels = np.random.default_rng(0).integers(0, 2, (6, 4, 6, 1)).astype(np.uint8)
    model = enlarge(pcnn.build_model(CONFIG), 2.0)
    compile_model(model, 10)
    found = model.evaluate(held_out_batches(levels, CONFIG), verbose=0, return_dict=True)
    nats = -pcnn.log_likelihood(model, levels, held_out_masks(6, CONFIG))
    assert found["logits_nats_per_image"] == pytest.approx(nats.mean(), rel=1e-4)
