"""The SavedModel through TensorFlow's C API, as TF Serving loads it: no Python in that process."""

import shutil
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, UNET, assert_same_completions, enlarge

import pcnn_keras as pcnn
from pcnn_keras.data.images import resize
from pcnn_keras.data.pixels import quantize
from pcnn_keras.export.signatures import export

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
SOURCE = Path(__file__).with_name("loader.c")
MNIST = Path(__file__).parents[2] / "saved_models" / "mnist"


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """The compiled C program, linked against the installed TensorFlow."""
    library = Path(tf.sysconfig.get_lib())
    program = tmp_path_factory.mktemp("loader") / "loader"
    subprocess.run(["gcc", "-O1", "-Wall", "-I", tf.sysconfig.get_include(), SOURCE, "-o", program,
                    library / "libtensorflow_cc.so.2", library / "libtensorflow_framework.so.2",
                    f"-Wl,-rpath,{library}"], check=True)
    return program


@pytest.fixture(scope="module")
def model():
    return enlarge(pcnn.build_model(TINY.replace(height=8, width=8, num_levels=4, **UNET)), 2.0)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("serving"))


@pytest.fixture
def ask(loader, exported, tmp_path):
    return asker(loader, exported, tmp_path)


def asker(loader, exported, folder):
    """A function that puts requests `(signature, values by name)` to one run of the C program.

    It returns for each the outputs by name, flat, or the error as text: `CODE MESSAGE`.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def

    def ask(*requests):
        arguments = []
        for number, (name, values) in enumerate(requests):
            for key, info in signatures[name].inputs.items():
                value = np.asarray(values[key], tf.as_dtype(info.dtype).as_numpy_dtype)
                file = folder / f"{number}-{key}"
                file.write_bytes(value.tobytes())
                sides = ",".join(map(str, value.shape)) or "scalar"
                arguments.append(f"{info.name}={info.dtype}:{sides}:{file}")
            arguments += ["--", *(info.name for info in signatures[name].outputs.values()), "++"]
        done = subprocess.run([loader, exported, *arguments[:-1]], capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        lines = iter(done.stdout.splitlines())
        answers = []
        for name, _ in requests:
            first = next(lines)
            if first.startswith("error "):
                answers.append(first.removeprefix("error "))
            else:
                names = list(signatures[name].outputs)
                values = [first, *islice(lines, len(names) - 1)]
                answers.append({key: np.array(value.split(), float) for key, value in zip(names, values)})
        return answers

    return ask


def request(images, masks, num_samples=1, temperature=1.0, seed=7):
    """Values for any of the signatures."""
    return {"image": images, "mask": masks, "num_samples": num_samples, "temperature": temperature, "seed": seed}


def check_answers(ask, model, images, masks):
    """Each signature's answer against Python's."""
    values = request(images, masks, num_samples=20)
    inpaint, default, likelihood, probabilities = ask(
        *((name, values) for name in ("inpaint", "serving_default", "log_likelihood", "pixel_probabilities")))
    expected = pcnn.inpaint(model, images, masks, 20, seed=7).ranked()
    for answer in (inpaint, default):
        assert_same_completions(answer, expected)
    np.testing.assert_allclose(likelihood["log_likelihood"], pcnn.log_likelihood(model, images, masks), atol=1e-3)
    np.testing.assert_allclose(probabilities["probabilities"],
                               pcnn.pixel_probabilities(model, images, masks).ravel(), atol=1e-5)


def digits(config):
    """Two real handwritten digits of scikit-learn in the model's size, the lower half visible."""
    written = pcnn.load_images("digits").test[:2]
    images = np.stack([quantize(resize(image, config.height, config.width), config.num_levels) for image in written])
    masks = np.zeros((2, config.height, config.width, 1), int)
    masks[:, config.height // 2 :] = 1
    return images, masks


@pytest.mark.full
def test_each_signature_answers_as_python_does(ask, model):
    check_answers(ask, model, *digits(model.config))


@pytest.mark.full
@pytest.mark.skipif(not MNIST.is_dir(), reason="no trained MNIST model in saved_models/")
def test_each_signature_of_the_shipped_mnist_model_answers_as_python_does(loader, tmp_path):
    model = pcnn.load(MNIST)
    check_answers(asker(loader, export(model, tmp_path), tmp_path), model, *digits(model.config))


def test_bad_input_is_invalid_argument_and_the_next_request_is_answered(ask):
    """The server holds no input against the signature's shape: the graph itself must."""
    zeros = np.zeros((1, 8, 8, 1), int)
    good = ("inpaint", request(zeros, zeros))
    bad = [("inpaint", request(zeros + 4, zeros), "image: expected levels from 0 to 3")]
    for shape in ((1, 16, 8, 1), (1, 7, 8, 1), (1, 8, 8, 3), (1, 0, 8, 1), (8, 8, 1), (8,), ()):
        bad += [(name, request(np.zeros(shape), zeros), "image: expected shape (batch, 8, 8, 1)")
                for name in ("inpaint", "log_likelihood", "pixel_probabilities")]
    bad += [("inpaint", request(zeros, np.zeros((1, 8, 8, 2))), "mask: expected shape (batch, 8, 8, 1)"),
            *(("inpaint", {**good[1], name: [good[1][name]] * 2}, f"{name}: expected a single number")
              for name in ("num_samples", "temperature", "seed"))]
    answers = ask(*(request for name, values, _ in bad for request in ((name, values), good)))
    for (*_, message), refused, answered in zip(bad, answers[::2], answers[1::2]):
        assert isinstance(refused, str) and refused.startswith("3 ") and message in refused  # TF_INVALID_ARGUMENT
        assert answered["samples"].shape == (64,)
