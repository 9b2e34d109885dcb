"""Keeps off the screen what libraries write to stderr without being asked."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType

from pcnn_keras.internals import absent

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


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow, which it returns, without the start-up log, part of which no setting silences."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with silence(), absent("sklearn", "matplotlib.pyplot"):
        importlib.import_module("keras")
        return importlib.import_module("tensorflow")
