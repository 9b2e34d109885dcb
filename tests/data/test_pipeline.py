"""Levels to batches: which images a step sees, in which order, under which masks."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY

import pcnn_keras as pcnn
from pcnn_keras.data import blobs, pipeline
from pcnn_keras.data.pipeline import examples, held_out_batches, held_out_masks, training_batches

CONFIG = TINY.replace(num_levels=256, batch_size=4, max_num_blobs=1, iter_min=0, iter_max=2, seed=3)
NUM_IMAGES = 10  # no multiple of the batch size: passes end inside a batch
LEVELS = np.arange(NUM_IMAGES * 20, dtype=np.uint8).reshape(NUM_IMAGES, 4, 5, 1)


def batches(config, first_step, num_steps, levels=LEVELS):
    """Levels `(steps * batch, 4, 5, 1)` and masks of the same shape, as the training targets and weights."""
    found = [(targets["logits"], 1 - weights["logits"].numpy())
             for _, targets, weights in training_batches(levels, config, first_step, num_steps)]
    return tuple(np.concatenate(parts) for parts in zip(*found))


def test_every_pass_shows_every_image_once_in_an_order_of_its_own():
    images, _ = batches(CONFIG, 0, 15)  # six passes of ten images in batches of four
    number = images[:, 0, 0, 0].reshape(6, NUM_IMAGES) // 20
    np.testing.assert_array_equal(np.sort(number), np.tile(range(NUM_IMAGES), (6, 1)))
    assert len(np.unique(number, axis=0)) == 6


def test_the_order_is_well_mixed():
    numbers = np.arange(251, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(5, 2)
    images, _ = batches(CONFIG.replace(batch_size=251), 0, 8, numbers)
    order = images[:, 0, 0, 0].reshape(8, 251)
    correlation = np.corrcoef([np.arange(251), *order])
    assert abs(correlation - np.eye(9)).max() < 0.3  # chance alone: 0.06 apiece
    assert 60 < abs(np.diff(order)).mean() < 110  # by chance a third of 251


@pytest.mark.parametrize("first_step", [1, 7])
def test_batches_depend_on_the_step_not_on_where_iteration_began(first_step):
    whole = batches(CONFIG, 0, 10)
    later = batches(CONFIG, first_step, 10 - first_step)
    for expected, found in zip(whole, later):
        np.testing.assert_array_equal(found, expected[first_step * CONFIG.batch_size :])


@pytest.mark.parametrize("seed", [4, 3 + 2**32, 2**63 - 1])
def test_another_seed_gives_other_images_and_masks(seed):
    for one, other in zip(batches(CONFIG, 0, 5), batches(CONFIG.replace(seed=seed), 0, 5)):
        assert (one != other).any()


def test_masks_are_made_anew_at_every_step():
    _, masks = batches(CONFIG, 0, 12)
    assert len({batch.tobytes() for batch in np.split(masks, 12)}) == 12


def test_training_masks_are_drawn_evenly_from_the_specifications():
    specs = ("blobs", "bottom:1", "random:0.3", "none", "none")
    _, masks = batches(CONFIG.replace(masks=specs, batch_size=250), 0, 8, np.zeros((10, 4, 5, 1), np.uint8))
    bottom = pcnn.parse_mask("bottom:1", 4, 5)(0)
    is_none = ~masks.any(axis=(1, 2, 3))
    is_bottom = (masks == bottom).all(axis=(1, 2, 3))
    has_six = masks.sum(axis=(1, 2, 3)) == 6  # 30 % of 20 pixels; a blob may have as many
    for share, expected in ((is_none.mean(), 0.4), (is_bottom.mean(), 0.2)):
        assert share == pytest.approx(expected, abs=0.05)
    assert 0.18 < has_six.mean() < 0.3
    assert (masks[has_six].mean(axis=0) > 0.15).all()  # anywhere
    _, alone = batches(CONFIG.replace(masks=("bottom:1",)), 0, 2)
    np.testing.assert_array_equal(alone, np.broadcast_to(bottom, alone.shape))


def test_blobs_are_as_many_and_as_large_as_the_settings_say():
    for least, most, single in ((0, 0, 1.0), (0, 1, 0.5), (1, 1, 0.0)):  # the share of blobs of one pixel
        config = pcnn.Config(max_num_blobs=1, iter_min=least, iter_max=most, batch_size=500)
        for masks in (pipeline.random_masks(config, tf.constant([0, 3], tf.int64)),
                      pipeline.held_out_masks(500, config)):
            sizes = np.sum(masks, axis=(1, 2, 3))
            assert (sizes == 1).mean() == pytest.approx(single, abs=0.1) and 1 <= sizes.min() <= sizes.max() <= 9


def test_which_mask_an_image_gets_says_nothing_of_its_blobs():
    config = pcnn.Config(masks=("blobs", "none", "none", "none"), batch_size=1000)
    masks = pipeline.random_masks(config, tf.constant([0, 3], tf.int64)).numpy()
    alone = pipeline.random_masks(config.replace(masks=("blobs",)), tf.constant([0, 3], tf.int64)).numpy()
    assert masks[masks.any(axis=(1, 2, 3))].mean() == pytest.approx(alone.mean(), abs=0.03)


def test_which_slice_an_image_is_trained_with_says_nothing_of_its_blobs():
    config = pcnn.Config(merge="blocks", slices=2, batch_size=1000, max_num_blobs=2, iter_min=0, iter_max=1)
    for place in range(4):
        seed = tf.constant([0, place], tf.int64)
        visible = pipeline.random_masks(config, seed).numpy().sum(axis=(1, 2, 3))
        each = [visible[pipeline._choices(config, seed, 3, 4)[:, 0] == k].mean() for k in range(4)]
        assert each == pytest.approx([visible.mean()] * 4, rel=0.15)


def test_a_function_of_masks_draws_from_its_seed_alone():
    for draw, said in (
            (lambda *given: tf.constant(np.random.default_rng().integers(0, 2, (4, 4, 5, 1))), "seed"),
            (lambda *given: tf.zeros((4, 4, 5, 1)) + 0 * int(given[3].numpy()[0]), "written with TensorFlow"),
            (lambda batch, height, width: tf.zeros((4, 4, 5, 1)), "function of `batch, height, width, seed`"),
            (lambda *given: np.zeros((4, 4, 5, 1), int), "must give a tensor"),  # the same in every step
            (lambda *given: tf.zeros((4, 4, 5)), "must give a tensor")):
        with pytest.raises(pcnn.InputError, match=said):
            pipeline.check_masks(draw, CONFIG)


@pytest.mark.parametrize("channels, num_levels", [(1, 2), (3, 32)])
def test_an_example_shows_the_network_visible_pixels_and_the_loss_hidden_ones(channels, num_levels):
    random = np.random.default_rng(0)
    levels = random.integers(0, num_levels, (6, 4, 5, channels), np.uint8)
    levels[0, 0, 0] = num_levels - 1
    masks = random.integers(0, 2, (6, 4, 5, 1))
    inputs, targets, weights = examples(levels, masks, TINY.replace(channels=channels, num_levels=num_levels))
    assert {*inputs} == {"image", "conditioning"}
    assert {*targets} == {*weights} == {"logits", "conditional_logits"}

    image, conditioning = (inputs[name].numpy() for name in ("image", "conditioning"))
    assert image.dtype == conditioning.dtype == np.float32
    np.testing.assert_allclose(image, levels / (num_levels - 1), rtol=1e-6)
    assert image.min() == 0 and image.max() == 1
    np.testing.assert_array_equal(conditioning, np.concatenate([image * masks, masks], axis=-1))
    for head in targets:
        assert targets[head].dtype == "int32" and weights[head].dtype == "float32"
        np.testing.assert_array_equal(targets[head], levels)
        np.testing.assert_array_equal(weights[head], 1 - masks)


def test_training_batches_are_of_a_static_shape():
    inputs, targets, weights = training_batches(LEVELS, CONFIG, 0, 1).element_spec
    assert inputs["image"].shape == targets["logits"].shape == weights["logits"].shape == (4, 4, 5, 1)
    assert inputs["conditioning"].shape == (4, 4, 5, 2)


def test_held_out_masks_are_the_same_in_every_run_and_for_every_count():
    many = held_out_masks(300, CONFIG)
    assert many.shape == (300, 4, 5, 1) and set(np.unique(many)) == {0, 1}
    for count in (1, 255, 256, 257):
        other = CONFIG.replace(seed=9, masks=("none",))
        np.testing.assert_array_equal(held_out_masks(count, other), many[:count])


def test_held_out_masks_are_drawn_as_many_at_a_time_as_fit(monkeypatch):
    cells = 4 * 6 * (CONFIG.iter_max + 1) + blobs.CELLS_OF_BLOB * CONFIG.max_num_blobs  # of one mask
    monkeypatch.setattr(blobs, "MOST_CELLS", 7 * cells)
    many = held_out_masks(20, CONFIG)
    assert many.shape == (20, 4, 5, 1) and len(np.unique(many, axis=0)) > 10
    np.testing.assert_array_equal(held_out_masks(9, CONFIG), many[:9])


@pytest.mark.parametrize("count, devices", [(10, 1), (3, 1), (9, 2), (9, 3), (7, 4), (5, 4), (4, 4)])
def test_held_out_batches_hold_every_image_in_order_under_its_mask(count, devices):
    found = list(held_out_batches(LEVELS[:count], CONFIG, devices))
    np.testing.assert_array_equal(np.concatenate([targets["logits"] for _, targets, _ in found]), LEVELS[:count])
    np.testing.assert_array_equal(np.concatenate([1 - weights["logits"].numpy() for _, _, weights in found]),
                                  held_out_masks(count, CONFIG))
    sizes = [len(targets["logits"]) for _, targets, _ in found]
    assert len(sizes) % devices == 0 and min(sizes) >= max(1, max(sizes) - 1), "each device has its share"
    assert max(sizes) <= CONFIG.batch_size


@pytest.mark.parametrize("device", ["/job:nowhere/task:0/device:GPU:0", "no device at all"])
def test_where_a_device_refuses_to_make_masks_the_processor_does(device, capsys):
    expected = next(iter(training_batches(LEVELS, CONFIG, 0, 2)))
    assert capsys.readouterr().out == ""
    found = next(iter(training_batches(LEVELS, CONFIG, 0, 2, mask_device=device)))
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "the processor makes them" in said and device in said
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_half_of_the_training_images_are_turned_left_to_right():
    levels = np.ones((12, 4, 4, 1), np.uint8)
    levels[:, :, 0] = 0
    config = pcnn.Config(height=4, width=4, batch_size=6, masks=("random:0.5",), augmentation="flip")
    targets = np.concatenate([y["logits"] for _, y, _ in training_batches(levels, config, 0, 50)])
    turned = (targets[:, :, -1] == 0).all(axis=(1, 2))
    assert 0.35 < turned.mean() < 0.65
    assert (np.where(turned[:, None, None, None], targets[:, :, ::-1], targets) == levels[0]).all()
    as_they_are = training_batches(levels, config.replace(augmentation="none"), 0, 50)
    assert all((y["logits"] == levels[0]).numpy().all() for _, y, _ in as_they_are)
