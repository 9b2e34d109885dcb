"""What several tests share: small models that look at their pixels, which fresh weights hardly do, and a small run."""

import atexit
import importlib
import io
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

# The user's own settings are none of the tests'.
os.environ.pop("TFDS_DATA_DIR", None)
os.environ.pop("KERAS_BACKEND", None)
os.environ.pop("KERAS_MAX_EPOCHS", None)
os.environ.pop("KERAS_MAX_STEPS_PER_EPOCH", None)
os.environ.pop("PYTHONWARNINGS", None)
os.environ["no_proxy"] = "*"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras-")

import numpy as np
import pytest

import pcnn_keras as pcnn
from pcnn_keras.commands import outcome
from pcnn_keras.data.sources import Splits
from pcnn_keras.inference.completions import Completions
from pcnn_keras.training.history import read_history

atexit.register(shutil.rmtree, os.environ["KERAS_HOME"], ignore_errors=True)

ROOT = Path(__file__).parents[1]

TINY = pcnn.Config(height=4, width=5, filters=6, prior_depth=1, conditioning_depth=1, kernel_size=3, batch_size=8)
UNET = {"merge": "blocks", "conditioner": "unet", "attention_heads": 2, "conditioning_depth": 3}
MERGES = [{}, {"merge": "weighted"}, {"merge": "blocks"}, UNET]
"""How the two networks may meet, and both conditioning networks."""

STEPS = 5  # an epoch: a pass of 22 images in batches of 4 ends inside a batch
CONFIG = TINY.replace(**UNET).replace(
    prior_depth=0, conditioning_depth=1, batch_size=4, epochs=2, steps_per_epoch=STEPS, learning_rate=0.02,
    warmup_steps=1, max_num_blobs=1, iter_min=0, iter_max=2)
SMALLER = CONFIG.replace(conditioner="residual", attention_heads=0)
"""Where the network does not matter: its step is traced in less time."""


def repository_files():
    """All but what git ignores; in a copy that is none of git's, all but what is in folders whose name has a dot."""
    try:
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                               capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(Path(folder, name), ROOT) for folder, _, files in os.walk(ROOT) for name in files]
        names = [name for name in names if not any("." in folder for folder in Path(name).parts[:-1])]
    return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]


def stripes(count, seed):
    """Images of two levels in vertical stripes that begin black or white: one bit each."""
    first = np.random.default_rng(seed).integers(0, 2, (count, 1, 1, 1))
    return np.broadcast_to((first + np.arange(5)[:, None]) % 2, (count, 4, 5, 1)).astype(np.uint8)


IMAGES = Splits(stripes(22, 0), stripes(6, 1), stripes(2, 2))


def enlarge(model, scale=1.0, seed=0):
    """Gives a model random weights of size one over the square root of the fan-in, biases too."""
    rng = np.random.default_rng(seed)
    model.set_weights([
        (rng.normal(size=w.shape) * scale * (np.prod(w.shape[:-1]) ** -0.5 if w.ndim > 1 else 0.1)).astype("float32")
        for w in model.get_weights()])
    return model


def every_completion(config, image, mask):
    """All images that agree with `image` where `mask` is 1; the last value varies fastest."""
    hidden = np.broadcast_to(mask == 0, image.shape)
    values = np.indices([config.num_levels] * hidden.sum()).reshape(hidden.sum(), -1).T
    images = np.repeat(image[None], len(values), axis=0)
    images[:, hidden] = values
    return images


def save_model(model, folder):
    """Makes the folder of a trained model; returns the model."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save(folder / "config.json")
    model.save(folder / "model.keras")
    return model


Done = namedtuple("Done", "returncode stdout stderr")


def run_here(script, *flags):
    """Runs a program of the repository in this process, where TensorFlow is imported already: a `Done`."""
    import tensorflow as tf

    out, before = io.StringIO(), tf.config.optimizer.get_experimental_options()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), _all_of_stderr() as errors, \
            pytest.raises(SystemExit) as exited:
        patch.setattr(sys, "argv", [script, *map(str, flags)])
        if script.startswith("pcnn_keras/"):
            outcome.run(importlib.import_module(script.removesuffix(".py").replace("/", ".")).main)
        else:
            runpy.run_path(str(ROOT / script), run_name="__main__")
    tf.config.optimizer.set_experimental_options(before)
    return Done(exited.value.code or 0, out.getvalue(), errors.getvalue())


@pytest.fixture
def call_here(tmp_path, monkeypatch):
    """`run_here` of a whole command line, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    return lambda command: run_here(*command.split())


@pytest.fixture(scope="module", autouse=True)
def graph_rewrites(request):
    """Off, which saves time, but where it matters what graphs become; whatever the module before has set."""
    import tensorflow as tf

    path = request.path
    matters = path.parent.name in ("network", "training", "export") or path.name == "test_sampling.py"
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not matters})


@contextmanager
def _all_of_stderr():
    """What is written to `sys.stderr`, and by libraries in C to file descriptor 2."""
    text, before = io.StringIO(), os.dup(2)
    with tempfile.TemporaryFile() as file, redirect_stderr(text):
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            text.write(file.read().decode(errors="replace"))


@pytest.fixture(scope="session")
def tiny():
    """A grey model of 4 x 5 pixels and 2 levels with enlarged weights, which stay as they are."""
    return enlarge(pcnn.build_model(TINY), 2.0)


@pytest.fixture(scope="session")
def tiny_rgb():
    """A colour model of 3 x 4 pixels and 3 levels with enlarged weights, which stay as they are."""
    return enlarge(pcnn.build_model(TINY.replace(height=3, width=4, channels=3, num_levels=3, filters=7)), 2.0)


def history(folder):
    """The rows of `history.csv` without what differs between runs."""
    rows = read_history(folder)
    for row in rows:
        assert row.pop("seconds") > 0
    return rows


KILLED = {"inside an epoch": ("on_train_batch_begin", 2), "before a validation": ("on_test_begin", STEPS),
          "between epochs": ("on_epoch_begin", STEPS)}
"""In which call of the callbacks, and after how many steps, a run is killed."""


@pytest.fixture
def new_run(tmp_path):
    """A run that has not made a step: `Run`, `Checkpoint` and compiled model."""
    from pcnn_keras.training.checkpoint import Checkpoint
    from pcnn_keras.training.compile import compile_model
    from pcnn_keras.training.run import Run

    model, run = pcnn.build_model(CONFIG), Run(tmp_path, CONFIG)
    compile_model(model, 10)
    model.optimizer.build(model.trainable_variables)
    return run, Checkpoint(run, IMAGES), model


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """An uninterrupted run that saves at every step: its folder, and what a kill would have left of it.

    Whichever test asks first, graphs are rewritten, as for the runs that are held against it: they round otherwise.
    """
    import tensorflow as tf
    from keras.callbacks import LambdaCallback

    from pcnn_keras.training.run import Keeping

    parent = tmp_path_factory.mktemp("saved_models")
    folder, steps = parent / "below" / "stripes", [0]

    def count(batch, logs):
        steps[0] += 1

    def copying(moment, method, step):
        def copy(*_, **logs):
            if steps[0] == step:
                shutil.copytree(folder, parent / moment)

        return LambdaCallback(**{method: copy})

    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    pcnn.train(CONFIG, IMAGES, folder, keeping=Keeping(seconds=0),
               callbacks=[LambdaCallback(on_train_batch_end=count),
                          *(copying(moment, *when) for moment, when in KILLED.items())])
    tf.config.optimizer.set_experimental_options(before)
    return parent


@pytest.fixture(scope="session")
def run(runs):
    """The folder of the uninterrupted run."""
    return runs / "below" / "stripes"


def assert_same_completions(found, expected):
    """Holds arrays by name, ranked, against ranked `Completions`. Equal ones may have changed places by rounding."""
    found = Completions(*(np.reshape(found[name], value.shape) for name, value in expected._asdict().items()))
    assert (np.diff(found.log_likelihood, axis=-1) <= 0).all()
    in_draw_order = (Completions(each.samples, -each.draw, each.log_likelihood).ranked() for each in (found, expected))
    for ours, theirs in zip(*in_draw_order):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def pytest_terminal_summary(terminalreporter):
    """What tests counted, with `record_property("counts", …)`, is said at the end."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "counts":
                terminalreporter.write_line(f"{report.nodeid}: {value}")
