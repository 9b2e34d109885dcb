import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import MERGES, ROOT, TINY, UNET, enlarge, every_completion, save_model

import pcnn_keras as pcnn
from pcnn_keras.data.slices import network_inputs
from pcnn_keras.network.backend import single_precision
from pcnn_keras.training.compile import compile_model

SIZES = [{"height": 4, "width": 5}, {"height": 1, "width": 1}, {"height": 1, "width": 6}, {"height": 6, "width": 1},
         {"height": 5, "width": 4, "kernel_size": 5, "prior_depth": 0}, {"height": 7, "width": 3, "head_filters": 40}]


LOGISTICS = {"merge": "blocks", "distribution": "logistics"}


def sensitivity(model, rng, *masks):
    """|d logits[i, j, c] / d image[i', j', c']| for each mask, summed over levels and a few random images."""
    import tensorflow as tf

    config = model.config
    size = (config.height, config.width, config.channels)
    vectorised = config.conditioner != "unet"  # it crashes TensorFlow 2.21

    @tf.function
    def jacobian(image, mask):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(image)
            inputs = network_inputs(image, mask, 0, 1, tf.concat, tf.pad)
            picked = tf.reshape(model(inputs)["logits"], (-1, config.num_levels))
        return tape.jacobian(picked, image, experimental_use_pfor=vectorised)

    images = [tf.constant(rng.random((1, *size)), tf.float32) for _ in range(3)]
    for mask in masks:
        total = sum(np.abs(jacobian(image, tf.constant(mask[None]))).sum(axis=(1, 2)) for image in images)
        yield total.reshape(*size, *size)


@pytest.mark.parametrize("merge, channels, size", [
    *((MERGES[0], 3, size) for size in SIZES), (MERGES[0], 1, SIZES[0]), (MERGES[0], 1, SIZES[4]),
    (MERGES[2], 1, SIZES[0]), (MERGES[2], 3, SIZES[0]),  # which adds the same at every size, as nothing is visible
    (LOGISTICS, 3, {**SIZES[0], "num_levels": 5}),
    pytest.param(MERGES[1], 3, SIZES[0], marks=pytest.mark.full)])
def test_logits_see_exactly_what_comes_before(merge, channels, size):
    """On weights as they are drawn, nothing visible: zero at itself and later, above zero at all it should see."""
    model = pcnn.build_model(TINY.replace(channels=channels, filters=8, **size, **merge))
    config = model.config
    seen, = sensitivity(model, np.random.default_rng(0), np.zeros((config.height, config.width, 1), np.float32))
    reach = (config.kernel_size // 2) * (config.prior_depth + 1)
    size = (config.height, config.width, channels)
    for at in np.ndindex(*size):
        for other in np.ndindex(*size):
            value = seen[at + other]
            if other >= at:
                assert value == 0, (at, other)
            elif at[0] - other[0] <= reach and abs(at[1] - other[1]) <= reach:
                assert value > 0, (at, other)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.full), 3])
def test_whatever_the_mask_no_logit_sees_a_hidden_pixel_from_itself_on(merge, channels):
    """And every visible pixel may be seen from anywhere."""
    model = enlarge(pcnn.build_model(TINY.replace(channels=channels, conditioning_depth=4, **{
        name: value for name, value in merge.items() if name != "conditioning_depth"})), 2.0)
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (2, 4, 5, 1)).astype(np.float32)
    for mask, seen in zip(masks, sensitivity(model, rng, *masks)):
        for at in np.ndindex(4, 5, channels):
            for other in np.ndindex(4, 5, channels):
                if mask[other[:2]]:
                    assert seen[at + other] > 0, (at, other)
                elif other >= at:
                    assert seen[at + other] == 0, (at, other)


@pytest.mark.parametrize("merge", MERGES)
def test_conditional_logits_see_every_visible_pixel_and_the_mask(merge):
    import tensorflow as tf

    model = enlarge(pcnn.build_model(TINY.replace(**{"conditioning_depth": 4, **merge})), 1.0)
    x = tf.constant(np.random.default_rng(0).random((1, 4, 5, 2)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        picked = tf.reshape(model.conditioner(x)["conditional_logits"], (20, 2))[:, 1]
    assert (np.abs(tape.jacobian(picked, x, experimental_use_pfor=False)[:, 0]) > 0).all()


def test_a_unet_of_odd_sides_is_its_layers_in_turn():
    config = TINY.replace(**{**UNET, "height": 11, "width": 9})
    model = enlarge(pcnn.build_model(config), 1.0)
    x = np.random.default_rng(0).random((2, 11, 9, 2)).astype(np.float32)

    def pass_through(x, *names):
        for name in names:
            x = model.conditioner.get_layer(f"conditioning_{name}")(x)
        return np.asarray(x)

    full = pass_through(x, "entry", "down_0_block_1")
    halved = pass_through(full, "halve_0", "at_1_block_1", "attention", "narrow_0")
    assert halved.shape == (2, 6, 5, config.filters)
    doubled = halved.repeat(2, axis=1).repeat(2, axis=2)[:, :11, :9]
    expected = pass_through(full + doubled, "up_0_block_1", "output").reshape(2, 11, 9, 1, 2)
    np.testing.assert_allclose(model.conditioner(x)["conditional_logits"], expected, atol=1e-4)


@pytest.mark.parametrize("merge", [*MERGES, {"merge": "blocks", "slices": 2}, LOGISTICS])
@pytest.mark.parametrize("channels, num_levels", [(1, 3), (3, 2)])
def test_probabilities_of_all_completions_sum_to_one(channels, num_levels, merge):
    config = TINY.replace(height=2, width=2, channels=channels, num_levels=num_levels, **merge)
    model = enlarge(pcnn.build_model(config), 3.0)
    mask = np.array([[0, 0], [1, 0]] if channels == 1 else [[1, 0], [1, 0]])[..., None]
    images = every_completion(config, np.ones((2, 2, channels), int), mask)
    nats = pcnn.log_likelihood(model, images, np.repeat(mask[None], len(images), axis=0))
    assert np.exp(nats.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    assert nats.std() > 0.1


def test_logits_are_merged_as_equation_3_or_with_the_weights_that_are_predicted():
    rng = np.random.default_rng(0)
    x = {"image": keras.ops.convert_to_tensor(rng.random((3, 4, 5, 1)), "float32"),
         "conditioning": keras.ops.convert_to_tensor(rng.random((3, 4, 5, 2)), "float32")}
    for merge in ("sum", "weighted", "blocks"):
        model = enlarge(pcnn.build_model(TINY.replace(merge=merge)), 2.0)
        y, context = model(x), model.conditioner(x["conditioning"])
        features = {"features": context["features"]} if merge == "blocks" else {}
        prior, conditional = model.prior({"image": x["image"], **features}), context["conditional_logits"]
        w, u = np.moveaxis(context["weights"], -1, 0)[..., None, None] if merge == "weighted" else (1, 1)
        assert merge != "weighted" or (np.ptp(w) > 0.1 and np.ptp(u) > 0.1)
        np.testing.assert_allclose(y["logits"], w * prior + u * conditional, atol=1e-5)
        np.testing.assert_allclose(y["conditional_logits"], conditional, atol=1e-6)
        np.testing.assert_allclose(model.decoder({"image": x["image"], **context}), y["logits"], atol=1e-6)
        assert y["logits"].shape == (3, 4, 5, 1, 2)
        if features:
            assert np.abs(prior - model.prior({"image": x["image"], "features": 0 * context["features"]})).max() > 0.1


@pytest.mark.parametrize("sides, coarsest", [
    ((28, 28), (7, 7)), ((9, 17), (3, 5)), ((8, 3), (8, 3)), ((64, 1), (8, 1))])
def test_a_unet_halves_sides_until_none_is_above_eight(sides, coarsest):
    config = TINY.replace(height=sides[0], width=sides[1], conditioner="unet", attention_heads=1, conditioning_depth=1)
    conditioner = pcnn.build_model(config).conditioner
    assert conditioner.get_layer("conditioning_attention").output.shape[1:3] == coarsest
    assert [layer.output.shape[1:3] for layer in conditioner.layers if "block" in layer.name] == [coarsest]


@pytest.mark.parametrize("preset, prior, conditioner", [
    ("paper-mnist", 596_130, 417_858), ("paper-celeba", 3_056_919, 2_015_868), ("digits", 22_020, 10_084),
    ("mnist", 657_570, 1_610_306)])
def test_parameter_counts(preset, prior, conditioner):
    model = pcnn.build_model(pcnn.Config.preset(preset))
    assert (model.prior.count_params(), model.conditioner.count_params()) == (prior, conditioner)
    assert model.count_params() == prior + conditioner


@pytest.mark.parametrize("changes", [
    {}, {"channels": 3, "num_levels": 256, "filters": 5}, {"height": 1, "width": 1}, {"head_filters": 7, "channels": 3},
    {"prior_depth": 0, "conditioning_depth": 0}, *MERGES[1:], {"distribution": "logistics", "num_levels": 9},
    {"merge": "blocks", "masks": ("blobs", "none")}])
def test_any_config_builds_and_survives_saving(changes, tmp_path):
    config = TINY.replace(**changes)
    model = save_model(pcnn.build_model(config), tmp_path)
    copy = pcnn.load(tmp_path)
    assert copy.config == config
    for a, b in zip(model.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)
    x = {"image": np.ones((2, config.height, config.width, config.channels), "float32"),
         "conditioning": np.ones((2, config.height, config.width, config.channels + 1), "float32")}
    np.testing.assert_array_equal(model(x)["logits"], copy(x)["logits"])


def test_weights_files_load_too(tiny, tmp_path):
    tiny.save_weights(tmp_path / "w.weights.h5")
    copy = pcnn.build_model(TINY)
    copy.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(tiny.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_the_seed_draws_the_weights():
    def weights(seed):
        return np.concatenate([w.ravel() for w in pcnn.build_model(TINY.replace(seed=seed)).get_weights()])

    np.testing.assert_array_equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).any()
    same_in_another_process = subprocess.run(
        [sys.executable, "-c", "from conftest import TINY; import pcnn_keras as pcnn; "
         "print(*(float(abs(w).sum()) for w in pcnn.build_model(TINY.replace(seed=1)).get_weights()))"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    sums = [float(abs(w).sum()) for w in pcnn.build_model(TINY.replace(seed=1)).get_weights()]
    assert [float(text) for text in same_in_another_process.stdout.split()] == pytest.approx(sums, rel=1e-6)


def test_building_leaves_the_callers_random_numbers_alone():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    pcnn.build_model(TINY)
    assert random.random() == expected


@pytest.mark.parametrize("spoil, message", [
    (lambda folder: (folder / "model.keras").unlink(), "holds no model.keras"),
    (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    (lambda folder: (folder / "config.json").write_text("[" * 200_000), "config.json"),
    (lambda folder: (folder / "config.json").write_text('{"colour": 3}'), "colour"),
    (lambda folder: TINY.replace(filters=9).save(folder / "config.json"), "not that of"),
    (lambda folder: os.truncate(folder / "model.keras", 5000), "cannot be read")])
def test_a_spoilt_folder_is_an_input_error(tiny, tmp_path, spoil, message):
    save_model(tiny, tmp_path)
    spoil(tmp_path)
    with pytest.raises(pcnn.InputError, match=message):
        pcnn.load(tmp_path)


SETTINGS = {"mixed_float16": keras.config.set_dtype_policy, "mixed_bfloat16": keras.config.set_dtype_policy,
            "float16": keras.config.set_floatx, "float64": keras.config.set_floatx}


@pytest.fixture(params=["mixed_float16", *(
    pytest.param(name, marks=pytest.mark.full) for name in ("float64", "mixed_bfloat16", "float16"))])
def setting(request):
    """Another precision, as a caller may have set it for something else."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    SETTINGS[request.param](request.param)
    yield request.param
    keras.config.set_dtype_policy(before[0])
    keras.config.set_floatx(before[1])


def test_a_model_is_of_single_precision_whatever_keras_is_set_to(setting, tmp_path):
    tiny = enlarge(pcnn.build_model(TINY), 2.0)
    before = keras.config.dtype_policy().name, keras.config.floatx()
    copy = pcnn.load(save_model(tiny, tmp_path) and tmp_path)
    assert {weight.dtype for weight in copy.weights} == {"float32"}
    image, mask = np.ones((1, 4, 5, 1), int), np.zeros((1, 4, 5, 1), int)
    assert pcnn.log_likelihood(copy, image, mask).dtype == np.float32
    assert pcnn.pixel_probabilities(copy, image, mask).dtype == np.float32
    np.testing.assert_allclose(pcnn.log_likelihood(copy, image, mask), pcnn.log_likelihood(tiny, image, mask))
    fast, raster = (pcnn.inpaint(copy, image, mask, 3, sampler=sampler) for sampler in ("fast", "raster"))
    np.testing.assert_array_equal(fast.samples, raster.samples)

    compile_model(copy, 10)
    rng = np.random.default_rng(0)
    levels, hidden = rng.integers(0, 2, (8, 4, 5, 1)), rng.integers(0, 2, (8, 4, 5, 1)).astype("float32")
    x = {"image": levels.astype("float32"), "conditioning": np.concatenate([levels * (1 - hidden), 1 - hidden], -1)}
    heads = ("logits", "conditional_logits")
    with single_precision():  # as `train` has it: Keras makes the losses' own metrics in the first step
        losses = [copy.train_on_batch(x, dict.fromkeys(heads, levels), dict.fromkeys(heads, hidden))[0]
                  for _ in range(8)]
    assert losses[-1] < losses[0]
    assert before == (keras.config.dtype_policy().name, keras.config.floatx())


JAX_RUN = """
import sys
sys.modules["tensorflow"] = None  # importing it fails
import keras, numpy as np
import pcnn_keras as pcnn
from pcnn_keras.training.compile import compile_model
assert keras.backend.backend() == "jax"
image, mask = np.ones((1, 4, 5, 1), int), np.zeros((1, 4, 5, 1), int)
x = {"image": np.ones((8, 4, 5, 1), "float32"), "conditioning": np.ones((8, 4, 5, 2), "float32")}
heads = ("logits", "conditional_logits")
y, w = dict.fromkeys(heads, np.ones((8, 4, 5, 1), int)), dict.fromkeys(heads, np.ones((8, 4, 5, 1), "float32"))
for folder in sys.argv[1:]:
    model = pcnn.load(folder)
    print(float(pcnn.log_likelihood(model, image, mask)[0]))
    if model.config.merge == "sum" or model.config.merge == "blocks" and model.config.distribution == "softmax":
        continue  # the others have all that these have
    compile_model(model, 10)
    first, *_, last = [float(model.train_on_batch(x, y, w)[0]) for _ in range(8)]
    assert last < first, (folder, first, last)
"""


def test_loads_and_trains_on_jax_without_tensorflow(tmp_path):
    pytest.importorskip("jax")
    merges = [*MERGES, {**UNET, "distribution": "logistics"}]
    folders = [tmp_path / str(i) for i in range(len(merges))]
    models = [save_model(enlarge(pcnn.build_model(TINY.replace(**merge)), 2.0), folder)
              for merge, folder in zip(merges, folders)]
    run = subprocess.run([sys.executable, "-c", JAX_RUN, *folders], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, "KERAS_BACKEND": "jax"})
    assert run.returncode == 0, run.stderr
    image, mask = np.ones((1, 4, 5, 1), int), np.zeros((1, 4, 5, 1), int)
    expected = [pcnn.log_likelihood(model, image, mask)[0] for model in models]
    np.testing.assert_allclose([float(line) for line in run.stdout.split()], expected, atol=1e-4)


def test_weights_of_logits_are_near_one_at_first():
    context = pcnn.build_model(TINY.replace(merge="weighted")).conditioner(np.ones((1, 4, 5, 2), np.float32))
    np.testing.assert_allclose(context["weights"], 1, atol=0.1)
