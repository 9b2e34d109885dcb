"""The SavedModel through TensorFlow's C API, as TF Serving loads it: no Python in that process."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, enlarge

import pcnn_keras as pcnn
from pcnn_keras.export import export

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
SOURCE = Path(__file__).parent / "serving" / "loader.c"


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
    return enlarge(pcnn.build_model(TINY), 2.0)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("serving"))


@pytest.fixture
def call(loader, exported, tmp_path):
    """Calls a signature in the C program: exit code, outputs by name, stderr."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def

    def call(name, **values):
        signature = signatures[name]
        arguments = []
        for key, info in signature.inputs.items():
            value = np.asarray(values[key], tf.as_dtype(info.dtype).as_numpy_dtype)
            (tmp_path / key).write_bytes(value.tobytes())
            sides = ",".join(map(str, value.shape)) or "scalar"
            arguments.append(f"{info.name}={info.dtype}:{sides}:{tmp_path / key}")
        names = list(signature.outputs)
        done = subprocess.run([loader, exported, *arguments, "--", *(signature.outputs[key].name for key in names)],
                              capture_output=True, text=True, timeout=200)
        lines = [np.array(line.split(), float) for line in done.stdout.splitlines()]
        return done.returncode, dict(zip(names, lines)), done.stderr

    return call


def test_each_signature_answers_as_python_does(call, model):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (2, 4, 5, 1)), rng.integers(0, 2, (2, 4, 5, 1))
    for name in ("inpaint", "serving_default"):
        code, answer, errors = call(name, image=images, mask=masks, num_samples=20, temperature=1.0, seed=7)
        assert code == 0, errors
        expected = pcnn.inpaint(model, images, masks, 20, seed=7).ranked()
        np.testing.assert_array_equal(answer["samples"].reshape(expected.samples.shape), expected.samples)
        np.testing.assert_array_equal(answer["draw"].reshape(expected.draw.shape), expected.draw)
        np.testing.assert_allclose(answer["log_likelihood"], expected.log_likelihood.ravel(), atol=1e-3)
    _, answer, _ = call("log_likelihood", image=images, mask=masks)
    np.testing.assert_allclose(answer["log_likelihood"], pcnn.log_likelihood(model, images, masks), atol=1e-3)
    _, answer, _ = call("pixel_probabilities", image=images, mask=masks)
    expected = pcnn.pixel_probabilities(model, images, masks)
    np.testing.assert_allclose(answer["probabilities"], expected.ravel(), atol=1e-5)


def test_bad_input_is_invalid_argument(call):
    zeros = np.zeros((1, 4, 5, 1), int)
    code, _, errors = call("inpaint", image=zeros + 2, mask=zeros, num_samples=1, temperature=1.0, seed=0)
    assert code == 3 and "image: expected levels from 0 to 1" in errors  # TF_INVALID_ARGUMENT
