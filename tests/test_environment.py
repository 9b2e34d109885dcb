"""What the user's environment holds changes no test: some of them are run with each setting."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from test_sources import prepare_mnist

TESTS = ["tests/test_config.py", "tests/data", "tests/network/test_model.py", "tests/commands/test_flags.py",
         "tests/commands/test_programs.py", "tests/commands/test_train.py"]


def mnist_at_hand(folder):
    prepare_mnist(folder)
    return {"TFDS_DATA_DIR": str(folder)}


def settings_of_keras(folder):
    settings = {"floatx": "float64", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
    (folder / "keras.json").write_text(json.dumps(settings))
    return {"KERAS_HOME": str(folder)}


ENVIRONMENTS = {"MNIST at hand": mnist_at_hand, "a keras.json": settings_of_keras,
                "a backend": lambda folder: {"KERAS_BACKEND": "jax"},
                "a limit": lambda folder: {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1"},
                "TensorFlow's log": lambda folder: {"TF_CPP_MIN_LOG_LEVEL": "0"}}


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_some_tests_pass_whatever_the_environment_holds(tmp_path, kind):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, **ENVIRONMENTS[kind](tmp_path)}, timeout=1700)
    assert done.returncode == 0 and re.search(r"\d{3} passed", done.stdout), done.stdout[-3000:]


@pytest.mark.full
@pytest.mark.parametrize("module", ["gradio", "huggingface_hub", "jax", "nbclient", "selenium"])
def test_the_full_suite_skips_nothing_for_want_of_a_package(module):
    importlib.import_module(module)
