"""Keeps off the screen what libraries write to stderr without being asked."""

import importlib
import io
import logging
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from threading import Lock
from types import ModuleType

from pcnn_keras.errors import InputError
from pcnn_keras.internals import absent

ADDRESSES = 3 * 10**9
"""What the smallest of the programs takes; what is used of them is far less."""

_descriptor = Lock()


@contextmanager
def silence() -> Iterator[None]:
    """Keeps off the screen what libraries in C write to stderr by its number."""
    with _descriptor, open(os.devnull, "w") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def bars_on_terminals():
    """`with bars_on_terminals():` keeps off stderr what libraries draw of a download, unless that is a terminal."""
    terminal = sys.stderr and not sys.stderr.closed and sys.stderr.isatty()
    return nullcontext() if terminal else redirect_stderr(io.StringIO())


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow, which it returns, without the start-up log, part of which no setting silences.

    The operations of oneDNN are on, unless TF_ENABLE_ONEDNN_OPTS says something else: TensorFlow itself has them
    only where there is AVX-512, and with AVX2 they are faster, too (docs/speed.md). GPUs do not multiply in TF32, of
    10 bits: both samplers have to draw the same.

    Raises:
        InputError: if Keras is set to run on something else, or if TensorFlow would have too little memory to start.
    """
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most != resource.RLIM_INFINITY and most < ADDRESSES:  # it would end the process itself
        raise InputError(f"TensorFlow needs {ADDRESSES / 1e9:.0f} GB of addresses. Received: "
                         f"{most / 1e9:.1f} GB (ulimit -v).")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("absl").setLevel(logging.ERROR)
    with silence(), absent("sklearn", "matplotlib.pyplot"):
        _import_keras()
        tensorflow = importlib.import_module("tensorflow")
    tensorflow.get_logger().setLevel(logging.ERROR)  # which sets one of its own first, where Python is interactive
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    return tensorflow


def _import_keras():
    """Keras, with TensorFlow under it and in single precision; its own settings may say something else."""
    try:
        keras = importlib.import_module("keras")
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise ValueError(f"the backend {backend!r}, where this program needs KERAS_BACKEND=tensorflow")
    except Exception as error:
        if isinstance(error, ImportError) and (error.name or "").split(".")[0] in ("keras", "tensorflow"):
            raise
        settings = Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json")
        raise InputError(f"Keras cannot be used as KERAS_BACKEND or {settings} has it: {error}.") from error
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
