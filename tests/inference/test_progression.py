import numpy as np
import pytest
from conftest import TINY, enlarge, every_completion

import pcnn_keras as pcnn
from pcnn_keras.inference.progression import progression_stages

MASK = np.array([[1, 0, 1, 1, 1], [1, 1, 0, 1, 1], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]])[..., None]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 2, (4, 5, 1))


def exact(model, image, mask, known):
    """p(x_i | known pixels, c) of every pixel, by adding up all completions of `mask` that agree."""
    every = every_completion(model.config, image, mask)
    weight = np.exp(pcnn.log_likelihood(model, every, np.repeat(mask[None], len(every), 0)).astype(float))
    weight *= (every == image)[:, known[..., 0] == 1].all(axis=(1, 2))
    return np.tensordot(weight / weight.sum(), np.eye(2)[every], axes=1)


def test_stages_are_the_conditionals_of_the_model(tiny, image, monkeypatch):
    """The exact conditionals of all five hidden pixels, with the conditioning unchanged."""
    monkeypatch.setattr("pcnn_keras.inference.rows.CHUNK", 4000)  # many draws at a time take less
    result = pcnn.probability_progression(tiny, image, MASK, num_stages=6, num_continuations=4000, seed=3)
    np.testing.assert_array_equal(result.sample, pcnn.inpaint(tiny, image, MASK, 1, seed=3).samples[0])
    for count, known, probabilities in zip(range(6), result.known, result.probabilities):
        assert known.sum() == MASK.sum() + count
        np.testing.assert_allclose(probabilities, exact(tiny, result.sample, MASK, known), atol=0.03)
    np.testing.assert_array_equal(result.probabilities[-1].argmax(-1), result.sample)


def test_slices_are_drawn_one_after_the_other(monkeypatch):
    monkeypatch.setattr("pcnn_keras.inference.rows.CHUNK", 4000)
    model = enlarge(pcnn.build_model(TINY.replace(height=2, width=4, merge="blocks", slices=2)), 2.0)
    image, mask = np.array([[1, 0, 1, 0], [0, 1, 1, 0]])[..., None], np.array([[1, 0, 0, 1], [0, 1, 0, 0]])[..., None]
    result = pcnn.probability_progression(model, image, mask, num_stages=6, num_continuations=4000, seed=3)
    for known, probabilities in zip(result.known, result.probabilities):
        np.testing.assert_allclose(probabilities, exact(model, result.sample, mask, known), atol=0.03)
    np.testing.assert_array_equal(result.known[1] - mask, np.array([[0, 0, 1, 0], [0, 0, 0, 0]])[..., None])
    np.testing.assert_array_equal(result.known[2] - mask, np.array([[0, 1, 1, 0], [0, 0, 0, 0]])[..., None])
    rows = list(progression_stages(model, image, mask, num_stages=None, num_continuations=2))
    assert [stage.known.sum() for stage in rows] == [3, 4, 5, 7, 8]


def test_a_given_completion_is_followed(tiny, image):
    sample = pcnn.inpaint(tiny, image, MASK, 20, seed=3).ranked().samples[-1]
    result = pcnn.probability_progression(tiny, image, MASK, sample, num_stages=3, num_continuations=2)
    np.testing.assert_array_equal(result.sample, sample)
    np.testing.assert_array_equal(result.probabilities[-1].argmax(-1), sample)
    alike = pcnn.probability_progression(tiny, image[..., 0], MASK[..., 0], sample, num_stages=3, num_continuations=2)
    np.testing.assert_array_equal(alike.probabilities, result.probabilities)
    with pytest.raises(pcnn.InputError, match="visible"):
        pcnn.probability_progression(tiny, 1 - image, MASK, sample)


def test_a_stage_a_row_is_handed_out_when_its_row_is_drawn(tiny, image):
    mask = np.ones_like(MASK)
    mask[1, 2:], mask[3, :2] = 0, 0
    stages = list(progression_stages(tiny, image, mask, num_stages=None, num_continuations=2, seed=3))
    assert [stage.known.sum() for stage in stages] == [15, 18, 20]
    assert stages[1].known[:3].all() and stages[0].probabilities.shape == (4, 5, 1, 2)
    np.testing.assert_array_equal(stages[-1].probabilities.argmax(-1), stages[0].sample)


@pytest.mark.parametrize("given", [False, True])
def test_another_backend_is_an_input_error(tiny, image, monkeypatch, given):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(pcnn.InputError, match="fast sampler.*KERAS_BACKEND=tensorflow"):
        next(progression_stages(tiny, image, "left:2", image if given else None))


def test_stages_of_colour_images_start_at_the_mask_and_end_with_everything_known(tiny_rgb):
    image, mask = np.zeros((3, 4, 3), int), np.zeros((3, 4, 1), int)
    mask[1] = 1
    result = pcnn.probability_progression(tiny_rgb, image, mask, num_stages=3, num_continuations=8)
    np.testing.assert_array_equal(result.known[0], mask)
    assert result.known[-1].all() and result.probabilities.shape == (3, 3, 4, 3, 3)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("change", [{"num_stages": 1}, {"num_continuations": 0}, {"num_stages": "3"},
                                    {"num_stages": 2.5}, {"num_continuations": None}, {"image": np.zeros((2, 4, 5, 1))},
                                    {"seed": -1}, {"progress": 3}, {"num_continuations": 100_001},
                                    {"seed": -1, "sample": np.zeros((4, 5, 1), int)}, {"sample": [[1], [[2]]]},
                                    {"mask": np.full((4, 5, 1), 2)}, {"image": np.zeros((5, 4, 1))}])
def test_bad_arguments_are_input_errors(tiny, image, change):
    with pytest.raises(pcnn.InputError):
        pcnn.probability_progression(tiny, **{"image": image, "mask": MASK, **change})


def test_continuations_have_noise_of_their_own(tiny, image):
    """One with the completion's own noise would be the completion."""
    differ = []
    for seed in range(8):
        one = pcnn.probability_progression(tiny, image, "none", num_stages=2, num_continuations=1, seed=seed)
        same = pcnn.pixel_probabilities(tiny, one.sample[None], "none")[0]
        differ.append(np.abs(one.probabilities[0] - same).max() > 0.01)
    assert any(differ)
