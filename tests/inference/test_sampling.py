import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import MERGES, ROOT, TINY, UNET, enlarge, every_completion
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import pcnn_keras as pcnn
from pcnn_keras.data.images import list_images
from pcnn_keras.inference import noise, rows
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.inference.likelihood import teacher_forced
from pcnn_keras.inference.sampling import Completions
from pcnn_keras.network.masked import MaskedConv2D
from pcnn_keras.network.networks import prior_layers

DIGITS = ROOT / "saved_models" / "digits"


def case(changes, rng, batch=3, scale=2.5):
    config = TINY.replace(**changes)
    model = enlarge(pcnn.build_model(config), scale)
    images = rng.integers(0, config.num_levels, (batch, config.height, config.width, config.channels))
    return model, images


MASKS = {
    "none": lambda s, rng: np.zeros(s),
    "all": lambda s, rng: np.ones(s),
    "bottom": lambda s, rng: np.indices(s)[1] >= s[1] - 1,
    "top": lambda s, rng: np.indices(s)[1] < s[1] - 1,
    "random": lambda s, rng: rng.random(s) < 0.4,
    "one": lambda s, rng: np.arange(np.prod(s)).reshape(s) % np.prod(s[1:]) != 7 % np.prod(s[1:])}


TEMPERATURES = {"bottom": 0, "top": 0.5, "random": 3}


@pytest.mark.parametrize("changes", [
    {}, {"height": 7, "width": 6, "kernel_size": 5, "prior_depth": 2}, {"height": 1, "width": 1},
    {"height": 1, "width": 6},
    {"height": 6, "width": 1, "num_levels": 5}, {"channels": 3, "num_levels": 3, "filters": 7, "head_filters": 9},
    {"channels": 3, "height": 3, "kernel_size": 5, "prior_depth": 0}, *MERGES[1:3],  # a U-Net is not in the sampler
    {"slices": 2, "height": 6, "width": 4, "merge": "blocks"},
    {"channels": 3, "num_levels": 5, "filters": 12, "distribution": "logistics"},
    pytest.param({"slices": 4, "height": 8, "width": 4, "channels": 3, "num_levels": 3, **UNET},
                 marks=pytest.mark.full)])
def test_fast_equals_raster(changes):
    rng = np.random.default_rng(0)
    model, images = case(changes, rng)
    for name, make in MASKS.items():
        masks = make((3, model.config.height, model.config.width, 1), rng).astype(int)
        fast, raster = (pcnn.inpaint(model, images, masks, 4, TEMPERATURES.get(name, 1), [5, 6, 5], s)
                        for s in ("fast", "raster"))
        np.testing.assert_array_equal(fast.samples, raster.samples, err_msg=name)
        np.testing.assert_allclose(fast.log_likelihood, raster.log_likelihood, atol=1e-3)
        np.testing.assert_array_equal(fast.draw, [range(4)] * 3)
        visible = np.broadcast_to(masks == 1, images.shape)
        for sample in np.moveaxis(fast.samples, 1, 0):
            np.testing.assert_array_equal(sample[visible], images[visible])
        assert name != "all" or (fast.log_likelihood == 0).all()


@st.composite
def cases(draw_value):
    """A small model of any kind, images, masks, and how to draw."""
    size, channels = st.integers(1, 6), draw_value(st.sampled_from([1, 3]))
    merge = draw_value(st.sampled_from([*MERGES, {**UNET, "slices": 2}]))
    cells = merge.get("slices", 1)
    config = TINY.replace(
        height=cells * draw_value(size), width=cells * draw_value(size), channels=channels,
        num_levels=draw_value(st.integers(2, 5)),
        filters=draw_value(st.integers(3, 8)), prior_depth=draw_value(st.integers(0, 2)),
        kernel_size=draw_value(st.sampled_from([3, 5])), head_filters=draw_value(st.sampled_from([0, 5])),
        **merge)
    rng = np.random.default_rng(draw_value(st.integers(0, 2**32)))
    shape = (draw_value(st.integers(1, 3)), config.height, config.width)
    images = rng.integers(0, config.num_levels, (*shape, channels))
    masks = (rng.random((*shape, 1)) < draw_value(st.sampled_from([0, 0.2, 0.8, 1]))).astype(int)
    return config, images, masks, {
        "num_samples": draw_value(st.integers(1, 20)), "seed": draw_value(st.integers(0, 2**63 - 1)),
        "temperature": draw_value(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        "batch_size": draw_value(st.sampled_from([None, 1, 8]))}


def margin(model, images, masks, samples, seed, temperature):
    """How far from a tie the draw at each sample's every pixel is, if what comes before it is drawn."""
    batch, count = samples.shape[:2]
    flat, visible = samples.reshape(-1, *samples.shape[2:]), np.repeat(masks, count, axis=0)
    logits = np.asarray(teacher_forced(model, flat, visible)["logits"])
    held = noise.gumbel(tf.fill([len(flat)], tf.constant(seed, tf.int64)),
                        tf.tile(tf.range(count, dtype=tf.int64), [batch]), noise.pixel_positions(model.config)).numpy()
    tempered = logits / temperature + held if temperature else logits
    two = np.sort(tempered, axis=-1)[..., -2:]
    return (two[..., 1] - two[..., 0]).reshape(samples.shape)


def assert_same_draws(model, images, masks, fast, raster, seed, temperature):
    """Pixel for pixel; where rounding has flipped a draw, the first that differs is within 1e-5 of a tie."""
    if (fast == raster).all():
        return
    differs = (fast != raster).reshape(-1, np.prod(fast.shape[2:]))
    gaps = margin(model, images, masks, raster, seed, temperature).reshape(differs.shape)
    for row, gap in zip(differs, gaps):
        assert not row.any() or gap[row.argmax()] < 1e-5


def check_case(model, images, masks, options):
    fast, raster = (pcnn.inpaint(model, images, masks, sampler=name, **options) for name in ("fast", "raster"))
    assert_same_draws(model, images, masks, fast.samples, raster.samples, options["seed"], options["temperature"])
    tolerance = np.maximum(1e-3, 1e-6 * np.abs(raster.log_likelihood))
    same = (fast.samples == raster.samples).all(axis=(2, 3, 4))
    assert (np.abs(fast.log_likelihood - raster.log_likelihood)[same] <= tolerance[same]).all()
    visible = np.broadcast_to((masks == 1)[:, None], fast.samples.shape)
    np.testing.assert_array_equal(fast.samples[visible], np.broadcast_to(images[:, None], fast.samples.shape)[visible])


@pytest.mark.full
@pytest.mark.timeout(3000)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_fast_equals_raster_in_many_cases(case):
    config, *rest = case
    check_case(enlarge(pcnn.build_model(config), 2.5), *rest)


def test_fast_equals_raster_with_trained_weights():
    model = pcnn.load(DIGITS)
    images, *_ = read_inputs(model.config, list_images(DIGITS / "examples")[:6], "all")
    specs = ("none", "bottom:2", "left:4", "random:0.2", "hole:2,1,5,6", "blobs")
    masks = np.stack([pcnn.parse_mask(spec, 8, 8)(0) for spec in specs])
    check_case(model, images, masks, {"num_samples": 5, "seed": 3, "temperature": 1.0})


def test_a_draw_that_differs_away_from_a_tie_is_noticed():
    rng = np.random.default_rng(0)
    model, images = case({}, rng, 1)
    masks = np.zeros((1, 4, 5, 1), int)
    samples = pcnn.inpaint(model, images, masks, 4).samples
    other = samples.copy()
    other[0, 1, 2, 3] = 1 - other[0, 1, 2, 3]
    with pytest.raises(AssertionError):
        assert_same_draws(model, images, masks, other, samples, 0, 1.0)


@pytest.mark.parametrize("changes", [{"prior_depth": 3}, {"prior_depth": 3, "channels": 3, "num_levels": 3}])
def test_enlarged_weights_look_at_pixels(changes):
    """Otherwise the tests above would show little: the first value must move most of all later distributions."""
    model, images = case(changes, np.random.default_rng(0), 16)
    others = images.copy()
    others[:, 0, 0, 0] = (images[:, 0, 0, 0] + 1) % model.config.num_levels
    a, b = (pcnn.pixel_probabilities(model, x, np.zeros((16, 4, 5, 1), int)) for x in (images, others))
    assert (np.abs(a - b).max(axis=(0, -1)).ravel()[1:] > 1e-3).mean() > 0.9


def swap_cached_rows(patch):
    whole = rows.RowPrior.rows_above
    patch.setattr(rows.RowPrior, "rows_above",
                  lambda *args: [tf.roll(x, x.shape[-1] // 2, -1) for x in whole(*args)])


def unmask_kernels(patch):
    patch.setattr(MaskedConv2D, "_masked", lambda self, kernel: kernel)


def reverse_channels(patch):
    whole = rows.gumbel_max
    patch.setattr(rows, "gumbel_max", lambda *args: whole(*args)[..., ::-1])


@pytest.mark.full
@pytest.mark.parametrize("damage", [swap_cached_rows, unmask_kernels, reverse_channels])
def test_a_broken_row_is_noticed(damage):
    model, images = case({"channels": 3, "height": 5, "kernel_size": 5}, np.random.default_rng(0))
    masks = np.zeros((3, 5, 5, 1), int)
    masks[:, :2] = 1  # two rows are cached
    raster = pcnn.inpaint(model, images, masks, 4, sampler="raster").samples
    with pytest.MonkeyPatch.context() as patch:
        damage(patch)
        fast = pcnn.inpaint(model, images, masks, 4).samples
    with pytest.raises(AssertionError):
        assert_same_draws(model, images, masks, fast, raster, 0, 1.0)


def test_a_layer_that_the_fast_sampler_does_not_know_is_not_left_out():
    inputs = keras.Input((2, 2, 1))
    with pytest.raises(TypeError, match="'mine'"):
        prior_layers(keras.Model(inputs, keras.layers.Dense(1, name="mine")(inputs)))


def test_draws_depend_on_seed_and_number_alone(tiny):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (3, 4, 5, 1)), rng.integers(0, 2, (3, 4, 5, 1))
    whole = pcnn.inpaint(tiny, images, masks, 10, seed=[1, 2, 2**62])
    chunked = pcnn.inpaint(tiny, images, masks, 10, seed=[1, 2, 2**62], batch_size=7)
    np.testing.assert_array_equal(whole.samples, chunked.samples)
    alone = pcnn.inpaint(tiny, images[2], masks[2], 4, seed=2**62)
    np.testing.assert_array_equal(alone.samples, whole.samples[2, :4])
    rest = pcnn.inpaint(tiny, images, masks, 6, seed=[1, 2, 2**62], first=4)
    for got, expected in zip(rest, whole):
        np.testing.assert_allclose(got, expected[:, 4:], rtol=1e-6)  # likelihoods but for rounding
    assert alone.log_likelihood.shape == (4,) and alone.samples.dtype == np.int32
    other = pcnn.inpaint(tiny, images, masks, 10, seed=3)
    assert (other.samples != whole.samples).any()
    free = pcnn.inpaint(tiny, images[0], np.zeros((4, 5, 1), int), 10)
    assert len({sample.tobytes() for sample in free.samples}) > 5


def test_draws_are_those_of_the_weights_as_they_are_now():
    model, images = case({}, np.random.default_rng(0), 1)
    masks = np.zeros((1, 4, 5, 1), int)
    before = pcnn.inpaint(model, images, masks, 8)
    enlarge(model, 2.5, seed=1)
    after = pcnn.inpaint(model, images, masks, 8)
    assert (after.samples != before.samples).any()
    np.testing.assert_array_equal(after.samples, pcnn.inpaint(model, images, masks, 8, sampler="raster").samples)


@pytest.mark.parametrize("sampler", ["fast", "raster"])
def test_progress_ends_at_one(tiny, sampler):
    shares = []
    pcnn.inpaint(tiny, np.zeros((2, 4, 5, 1), int), np.zeros((2, 4, 5, 1), int), 6, sampler=sampler, batch_size=8,
                 progress=shares.append)
    assert len(shares) >= 2 and max(shares) == pytest.approx(1) and min(shares) > 0
    if sampler == "raster":
        assert shares == sorted(shares)


def test_likelihood_is_that_of_the_untempered_model(tiny):
    images, masks = np.zeros((4, 5, 1), int), np.zeros((4, 5, 1), int)
    for temperature in (0.0, 0.5, 1.0, 3.0):
        result = pcnn.inpaint(tiny, images, masks, 5, temperature=temperature)
        scored = pcnn.log_likelihood(tiny, result.samples, np.zeros((5, 4, 5, 1), int))
        np.testing.assert_allclose(result.log_likelihood, scored, atol=1e-3)
    coldest = pcnn.inpaint(tiny, images, masks, 3, temperature=0)
    assert (coldest.samples == coldest.samples[0]).all()
    likeliest = pcnn.pixel_probabilities(tiny, coldest.samples[:1], masks[None]).argmax(-1)
    np.testing.assert_array_equal(likeliest[0], coldest.samples[0])


@pytest.mark.parametrize("changes, mask", [
    ({"height": 2, "width": 3}, [[0, 1, 0], [1, 0, 0]]), ({"height": 1, "width": 2, "channels": 3}, [[0, 0]])])
def test_draws_follow_the_distribution(changes, mask):
    """Counts of 100,000 completions of four grey pixels, or of two in colour, against their exact probabilities."""
    model, images = case(changes, np.random.default_rng(0), 1, scale=1.0)
    mask = np.array(mask)[..., None]
    hidden = mask[..., 0] == 0
    every = every_completion(model.config, images[0], mask)
    exact = np.exp(pcnn.log_likelihood(model, every, np.repeat(mask[None], len(every), 0)).astype(float))
    drawn = pcnn.inpaint(model, images[0], mask, 100_000, batch_size=5000).samples[:, hidden].reshape(100_000, -1)
    counts = np.bincount(drawn @ 2 ** np.arange(drawn.shape[1])[::-1], minlength=len(every))
    assert exact.sum() == pytest.approx(1, abs=1e-5)
    assert chisquare(counts, exact / exact.sum() * counts.sum()).pvalue > 1e-4


def test_temperature_sharpens_and_flattens_a_draw():
    """A level's share at temperature T is in proportion to p^(1/T)."""
    model, images = case({"num_levels": 4}, np.random.default_rng(0), 1, scale=1.0)
    mask = np.ones((4, 5, 1), int)
    mask[2, 3] = 0
    p = pcnn.pixel_probabilities(model, images, mask[None])[0, 2, 3, 0].astype(float)
    for temperature in (0.5, 2.0):
        drawn = pcnn.inpaint(model, images[0], mask, 20_000, temperature, batch_size=5000).samples[:, 2, 3, 0]
        expected = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
        counts = np.bincount(drawn, minlength=4)
        assert chisquare(counts, expected / expected.sum() * len(drawn)).pvalue > 1e-4, (temperature, counts, expected)


def test_ranked_puts_the_likeliest_first(tiny):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (2, 4, 5, 1)), np.zeros((2, 4, 5, 1), int)
    plain = pcnn.inpaint(tiny, images, masks, 6)
    ranked = plain.ranked()
    assert isinstance(ranked, Completions) and (np.diff(ranked.log_likelihood) <= 0).all()
    for i in range(2):
        np.testing.assert_array_equal(plain.samples[i, ranked.draw[i]], ranked.samples[i])
        np.testing.assert_array_equal(plain.log_likelihood[i, ranked.draw[i]], ranked.log_likelihood[i])
    np.testing.assert_array_equal(ranked.first(), plain.samples[:, 0])
    one = pcnn.inpaint(tiny, images[0], masks[0], 6).ranked()
    np.testing.assert_array_equal(one.samples, ranked.samples[0])
    np.testing.assert_array_equal(one.first(), plain.samples[0, 0])


@pytest.mark.parametrize("change", [
    {"num_samples": 0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"temperature": float("inf")},
    {"seed": -1}, {"seed": 2**63}, {"seed": 0.5}, {"seed": [1, 2]}, {"seed": [1, [2]]}, {"sampler": "quick"},
    {"first": -1}, {"first": 0.5}, {"first": 2**31 - 16}, {"batch_size": 0}, {"batch_size": -1}, {"batch_size": 2.5},
    {"mask": np.full((4, 5, 1), 2)},
    {"image": np.full((4, 5, 1), 2)}, {"image": np.zeros((5, 4, 1))}, {"image": np.full((4, 5, 1), np.nan)}])
def test_bad_arguments_are_input_errors(tiny, change):
    with pytest.raises(pcnn.InputError):
        pcnn.inpaint(tiny, **{"image": np.zeros((4, 5, 1)), "mask": np.zeros((4, 5, 1)), **change})


def test_an_empty_batch_gives_nothing(tiny):
    nothing = np.zeros((0, 4, 5, 1), int)
    for mask in (nothing, "left:2"):
        assert [field.shape for field in pcnn.inpaint(tiny, nothing, mask, 3)] == [(0, 3, 4, 5, 1), (0, 3), (0, 3)]


def test_the_highest_temperature_is_a_fair_coin(tiny):
    assert abs(pcnn.inpaint(tiny, np.zeros((4, 5), int), "none", 2000, 3e38).samples.mean() - 0.5) < 0.01
