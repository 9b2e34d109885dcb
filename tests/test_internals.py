"""What Keras does not promise is still so."""

import importlib
import platform
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import keras
import numpy as np
import pytest
from conftest import CONFIG, IMAGES, ROOT

import pcnn_keras as pcnn
from pcnn_keras.data.pipeline import training_batches
from pcnn_keras.internals import absent, build_metrics, initializers_from, weights_of_zeros
from pcnn_keras.training.compile import compile_model


def test_modules_are_absent_for_a_while(tmp_path, monkeypatch):
    (tmp_path / "there_before.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    with absent("there_before", "random"):
        with pytest.raises(ImportError):
            importlib.import_module("there_before")
        assert importlib.import_module("random") is random
    assert importlib.import_module("there_before").value == 1


def test_keras_imports_without_them_and_quietly_in_a_notebook_too_and_they_can_be_imported_afterwards():
    code = ("import sys; sys.ps1 = '> '; from pcnn_keras.quiet import import_tensorflow; "
            "import_tensorflow().get_logger().warning('retracing'); "
            "assert not {'sklearn', 'matplotlib.pyplot'} & set(sys.modules); "
            "import sklearn.neighbors, matplotlib.pyplot")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is for x86")
@pytest.mark.parametrize("asked, enabled", [(None, "True"), pytest.param("0", "False", marks=pytest.mark.full)])
def test_programs_have_the_operations_of_onednn_unless_the_environment_says_no(asked, enabled, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if asked:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", asked)
    code = ("from pcnn_keras.quiet import import_tensorflow; import_tensorflow(); "
            "from tensorflow.python.util import _pywrap_util_port; print(_pywrap_util_port.IsMklEnabled())")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, enabled, "")


def test_initializers_draw_from_the_seed_and_python_s_random_numbers_go_on():
    def kernel(seed):
        with initializers_from(seed):
            layer = keras.layers.Dense(3)
            layer.build((None, 4))
        return layer.kernel.numpy()

    random.seed(1)
    expected = random.random()
    random.seed(1)
    np.testing.assert_array_equal(kernel(7), kernel(7))
    assert (kernel(7) != kernel(8)).any()
    assert random.random() == expected


def test_weights_are_zeros_for_a_while():
    with weights_of_zeros():
        assert not any(weight.any() for weight in pcnn.build_model(CONFIG).get_weights() if weight.ndim > 1)
        with ThreadPoolExecutor(1) as elsewhere:
            assert elsewhere.submit(pcnn.build_model, CONFIG).result().get_weights()[0].any()
    assert any(weight.any() for weight in pcnn.build_model(CONFIG).get_weights() if weight.ndim > 1)


def test_all_variables_that_a_step_needs_are_made_before_it_so_it_is_traced_once(monkeypatch):
    model = pcnn.build_model(CONFIG)
    compile_model(model, 10)
    model.optimizer.build(model.trainable_variables)
    batches = training_batches(IMAGES.train, CONFIG, 0, 1)
    build_metrics(model, batches.element_spec)
    made = [variable.path for variable in model.metrics_variables]
    step = Mock(wraps=model.train_step)
    monkeypatch.setattr(model, "train_step", step)
    model.train_on_batch(*next(iter(batches)))
    assert step.call_count == 1
    assert len(made) > 2 and [variable.path for variable in model.metrics_variables] == made
