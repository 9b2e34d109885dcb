"""Models that ship draw the same, and new ones train, across the versions of Keras and TensorFlow that are promised."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import pcnn_keras as pcnn
from pcnn_keras.export.signatures import export

VERSIONS = [("2.20.0", "3.13.2"), ("2.20.0", "3.15.1"), ("2.21.0", "3.14.0")]


SERVED = """
import sys
import numpy as np
import tensorflow as tf
exported, asked, answered = sys.argv[1:]
asked = np.load(asked)
found = tf.saved_model.load(exported).signatures["inpaint"](
    image=tf.constant(asked["image"][:1]), mask=tf.constant(asked["mask"][:1]), num_samples=tf.constant(4),
    temperature=tf.constant(1.0), seed=tf.constant(0, tf.int64))
np.save(answered, found["samples"][0])
"""
"""As a server of that version of TensorFlow does: without this package."""


def completions(python, folder):
    subprocess.run([python, "sample.py", "--model", "saved_models/mnist", "--num-samples", "4", "--output", folder],
                   cwd=ROOT, check=True)
    return np.load(folder / "samples.npz")


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tensorflow, keras", VERSIONS)
def test_a_model_draws_the_same_in_other_versions_and_another_is_trained(tmp_path, tensorflow, keras):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", ROOT / "requirements.txt",
                    f"tensorflow=={tensorflow}", f"keras=={keras}"], check=True)
    here, there = completions(sys.executable, tmp_path / "here"), completions(python, tmp_path / "there")
    np.testing.assert_array_equal(there["samples"], here["samples"])
    np.testing.assert_allclose(there["log_likelihood"], here["log_likelihood"], atol=1e-3)
    exported = export(pcnn.load(ROOT / "saved_models" / "mnist"), tmp_path / "serving")
    subprocess.run([python, "-c", SERVED, exported, tmp_path / "here" / "samples.npz", tmp_path / "served.npy"],
                   cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "served.npy"), here["samples"][0])
    subprocess.run([python, "train.py", "--dataset", "digits", "--epochs", "1", "--steps-per-epoch", "2",
                    "--output", tmp_path / "run"], cwd=ROOT, check=True)
