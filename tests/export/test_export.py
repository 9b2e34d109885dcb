"""The SavedModel, loaded with TensorFlow alone, against Python."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from conftest import MERGES, TINY, UNET, assert_same_completions, enlarge

import pcnn_keras as pcnn
from pcnn_keras.export.signatures import MOST_DRAWS, export
from pcnn_keras.inference.rows import CHUNK


@pytest.fixture(scope="module")
def tiny_models():
    colour = TINY.replace(height=3, width=4, channels=3, num_levels=3, filters=7)
    configs = {"grey": TINY, "colour": colour, "weighted": TINY.replace(**MERGES[1]),
               "blocks": TINY.replace(**MERGES[2]),
               "colour unet": colour.replace(filters=12, distribution="logistics", **UNET),
               "slices": TINY.replace(width=4, merge="blocks", slices=2)}
    return {name: enlarge(pcnn.build_model(config), 2.0) for name, config in configs.items()}


@pytest.fixture(scope="module")
def exported(tiny_models, tmp_path_factory):
    """A function that exports one of the models, once."""
    folder = tmp_path_factory.mktemp("serving")
    return cache(lambda kind: export(tiny_models[kind], folder / kind))


@pytest.fixture(scope="module")
def loaded(exported):
    """A function that loads what is exported of a model, once."""
    return cache(lambda kind="grey": tf.saved_model.load(exported(kind)))


def inputs(model, batch=2):
    rng = np.random.default_rng(0)
    config = model.config
    images = rng.integers(0, config.num_levels, (batch, config.height, config.width, config.channels))
    return images, rng.integers(0, 2, (*images.shape[:3], 1))


def request(images, masks, num_samples=5, temperature=1.0, seed=2**40):
    return {"image": tf.constant(images, tf.int32), "mask": tf.constant(masks, tf.int32),
            "num_samples": tf.constant(num_samples), "temperature": tf.constant(temperature),
            "seed": tf.constant(seed, tf.int64)}


@pytest.mark.parametrize("kind", [
    "grey", "colour unet", "slices",
    *(pytest.param(kind, marks=pytest.mark.full) for kind in ("colour", "weighted", "blocks"))])
def test_signatures_answer_as_python_does(tiny_models, loaded, kind):
    model, loaded = tiny_models[kind], loaded(kind)
    images, masks = inputs(model)
    for count, temperature in ((5, 1.0), (40, 0.5)):
        answer = loaded.signatures["inpaint"](**request(images, masks, count, temperature))
        expected = pcnn.inpaint(model, images, masks, count, temperature, seed=2**40).ranked()
        assert_same_completions(answer, expected)
    default = loaded.signatures["serving_default"](**request(images, masks))
    np.testing.assert_array_equal(default["samples"], loaded.signatures["inpaint"](**request(images, masks))["samples"])
    pair = {"image": tf.constant(images, tf.int32), "mask": tf.constant(masks, tf.int32)}
    np.testing.assert_allclose(loaded.signatures["log_likelihood"](**pair)["log_likelihood"],
                               pcnn.log_likelihood(model, images, masks), atol=1e-3)
    np.testing.assert_allclose(loaded.signatures["pixel_probabilities"](**pair)["probabilities"],
                               pcnn.pixel_probabilities(model, images, masks), atol=1e-5)


def test_types_are_those_of_the_interface(loaded):
    signatures = loaded().signatures
    for name, types in {"inpaint": {"samples": tf.int32, "log_likelihood": tf.float32, "draw": tf.int32},
                        "log_likelihood": {"log_likelihood": tf.float32},
                        "pixel_probabilities": {"probabilities": tf.float32}}.items():
        assert {each: spec.dtype for each, spec in signatures[name].structured_outputs.items()} == types
    signature = signatures["inpaint"]
    assert set(signature.structured_input_signature[1]) == {"image", "mask", "num_samples", "temperature", "seed"}


MISTAKES = {
    "image": lambda r: {**r, "image": r["image"] + 2}, "mask": lambda r: {**r, "mask": r["mask"] * 2},
    "num_samples": lambda r: {**r, "num_samples": tf.constant(0)},
    "at most": lambda r: {**r, "num_samples": tf.constant(MOST_DRAWS)},
    "temperature": lambda r: {**r, "temperature": tf.constant(float("nan"))},
    "seed": lambda r: {**r, "seed": tf.constant(-1, tf.int64)},
    "as many": lambda r: {**r, "mask": r["mask"][:1]},
    "at least one": lambda r: {**r, "image": r["image"][:0], "mask": r["mask"][:0]}}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_bad_input_is_an_invalid_argument_and_the_next_request_is_answered(tiny_models, loaded, mistake):
    signature = loaded().signatures["inpaint"]
    good = request(*(np.ones_like(x) for x in inputs(tiny_models["grey"])))
    with pytest.raises(tf.errors.InvalidArgumentError, match=mistake):
        signature(**MISTAKES[mistake](good))
    assert signature(**good)["samples"].shape[:2] == (2, 5)


def test_many_images_are_scored_some_at_a_time(tiny_models, loaded):
    image, mask = np.random.default_rng(0).integers(0, 2, (2, 2 * CHUNK + 1, 4, 5, 1), np.int32)
    loaded = loaded().signatures
    for name, function in (("log_likelihood", pcnn.log_likelihood), ("probabilities", pcnn.pixel_probabilities)):
        answer = loaded["pixel_" * (name == "probabilities") + name](
            image=tf.constant(image), mask=tf.constant(mask))[name]
        np.testing.assert_allclose(answer, function(tiny_models["grey"], image, mask), atol=1e-4)


@pytest.mark.parametrize("name", ["log_likelihood", "pixel_probabilities"])
def test_an_empty_batch_is_an_invalid_argument(loaded, name):
    signature, nothing = loaded().signatures[name], tf.zeros((0, 4, 5, 1), tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="image: expected at least one"):
        signature(image=nothing, mask=nothing)


def test_every_variable_is_stored_once_and_no_op_needs_xla(tiny_models, exported, loaded):
    model = tiny_models["grey"]
    stored = [shape for name, shape in tf.train.list_variables(str(exported("grey") / "variables" / "variables"))
              if "VARIABLE_VALUE" in name]
    assert sum(np.prod(shape, dtype=int) for shape in stored) == model.count_params()
    graph = loaded().signatures["inpaint"].graph.as_graph_def()
    assert not [function for function in graph.library.function if function.attr["_XlaMustCompile"].b]


def test_it_loads_where_neither_this_package_nor_keras_is(exported):
    code = ("import sys; sys.modules['keras'] = None; sys.modules['pcnn_keras'] = None; import tensorflow as tf; "
            f"loaded = tf.saved_model.load({str(exported('grey'))!r}); "
            "zeros = tf.zeros((1, 4, 5, 1), tf.int32); "
            "print(loaded.signatures['log_likelihood'](image=zeros, mask=zeros)['log_likelihood'].numpy()[0])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0


def test_the_warm_up_file_asks_every_signature_and_is_answered(exported, loaded):
    """Read with the server's own definition of the messages."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file = exported("grey") / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    loaded = loaded()
    asked = [log.predict_log.request.model_spec.signature_name for log in logs]
    assert sorted(asked) == sorted(loaded.signatures) and len(asked) == 4
    for log, name in zip(logs, asked):
        values = {key: tf.make_ndarray(value) for key, value in log.predict_log.request.inputs.items()}
        specs = loaded.signatures[name].structured_input_signature[1]
        assert {key: value.dtype for key, value in values.items()} == {
            key: spec.dtype.as_numpy_dtype for key, spec in specs.items()}
        assert not values["mask"].any()  # everything is there to be drawn
        answer = loaded.signatures[name](**{key: tf.constant(value) for key, value in values.items()})
        assert all(np.isfinite(value).all() for value in answer.values())


def test_an_export_is_the_next_version(tiny_models, tmp_path):
    there = {"9", "10", "notes", "07.old"}
    for name in there:
        (tmp_path / name).mkdir()
    assert export(tiny_models["grey"], tmp_path) == tmp_path / "11"
    assert (tmp_path / "11" / "saved_model.pb").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {*there, "11"}


def test_an_export_that_is_stopped_leaves_nothing(tiny_models, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pcnn_keras.export.signatures.write_warm_up", stop)
    for folder in (tmp_path, tmp_path / "serving"):
        with pytest.raises(KeyboardInterrupt):
            export(tiny_models["grey"], folder)
    assert not [*tmp_path.iterdir()]


def test_another_backend_is_said_with_the_way_on(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(pcnn.InputError, match="SavedModel.*'jax'.*KERAS_BACKEND=tensorflow"):
        export(tiny_models["grey"], tmp_path / "serving")
    assert not (tmp_path / "serving").exists()
