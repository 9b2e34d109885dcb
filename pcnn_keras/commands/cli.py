"""What the command-line programs share: flags that fail in one line, and exit codes.

0: done. 2: a mistake of the user's, said in one line on stderr. 1: anything else.
"""

import argparse
import importlib
import logging
import os
import sys
import threading
import time
import warnings
from pathlib import Path

from pcnn_keras.config import Config
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.files import silence


def program():
    """The program's name, as its messages begin: that of the file, or of the package that `python -m` runs."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage block."""

    def __init__(self, description):
        super().__init__(program(), description=description, allow_abbrev=False)

    def add_model(self):
        """The flag of programs that use a trained model."""
        self.add_argument("--model", type=Path, default=Path("saved_models/mnist"), help="folder of a trained model")

    def add_images(self, dataset_help="take images from this set's test split (default: the model's own)"):
        """The flags of programs that read a data set."""
        self.add_argument("--dataset", help=dataset_help)
        self.add_argument("--data-dir", help="folder of images, or of prepared TFDS sets")

    def parse_args(self, *args, **kwargs):
        flags = super().parse_args(*args, **kwargs)
        for name, value in vars(flags).items():
            if value == []:  # what argparse makes of --flag=--
                self.error(f"argument --{name.replace('_', '-')}: expected a value")
        return flags

    def error(self, message):
        leave(self.prog, message, 2)


def number(kind, least=None, most=None):
    """An argparse type: an int or float within bounds."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        too_low = value is None or value != value or (least is not None and value < least)
        if too_low or (most is not None and value > most) or value in (float("inf"), -float("inf")):
            what = "a whole number" if kind is int else "a number"
            bounds = "" if least is None else f" from {least} up" if most is None else f" from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected {what}{bounds}, received {text!r}")
        return value

    return parse


def model_config(folder):
    """The `Config` of a trained model's folder, read before anything slow is imported."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not the folder of a trained model (--model).")
    return Config.load(folder / "config.json")


class Progress:
    """Says how far something is, once it has taken a second.

    On a terminal in one line that is rewritten; elsewhere a line now and then.
    """

    def __init__(self, what):
        self._what = what
        self._share = 0
        self._first = threading.Timer(1, lambda: self(self._share))
        self._first.daemon = True
        self._next = time.monotonic() + 1
        self._terminal = sys.stdout.isatty()

    def __call__(self, share):
        """`share`: from 0 to 1."""
        self._share = share
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._terminal else 10)
        text = f"{self._what}: {share:.0%}"
        print(f"\r{text} " if self._terminal else text, end="" if self._terminal else "\n", flush=True)

    def __enter__(self):
        self._first.start()
        return self

    def __exit__(self, *_):
        self._first.cancel()
        if self._terminal:
            print("\r" + " " * (len(self._what) + 8) + "\r", end="", flush=True)


def run(main):
    """Calls `main()` and turns its outcome into an exit code."""
    warnings.simplefilter("ignore")  # of libraries, about things that no flag changes
    name = program()
    try:
        sys.exit(main())
    except InputError as error:
        leave(name, error, 2)
    except OSError as error:  # of a file that is not handled where it is used
        if not error.filename:
            raise
        leave(name, f"{error.filename}: {error.strerror}.", 2)
    except Stopped as error:
        leave(name, error, 1)
    except KeyboardInterrupt:
        leave(name, "stopped.", 1)
    except Exception as error:
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's
            raise
        leave(name, "there is not enough memory for that.", 2)


def leave(name, message, code):
    """Ends the program with one line on stderr, whatever was given that stands in it."""
    print(f"{name}: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(code)


def _import_keras():
    """Imports Keras, with TensorFlow under it and in single precision; its own settings may say something else."""
    try:
        keras = importlib.import_module("keras")
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise ValueError(f"the backend {backend!r}; this program needs 'tensorflow'")
    except Exception as error:
        if isinstance(error, ImportError) and (error.name or "").split(".")[0] in ("keras", "tensorflow"):
            raise
        raise InputError(f"Keras cannot be used as its variables (KERAS_BACKEND) or {_keras_settings()} have it: "
                         f"{error}.") from error
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def _keras_settings():
    return Path(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json")


def import_tensorflow():
    """Imports TensorFlow, which it returns, without the start-up log, part of which no setting silences.

    Keras imports scikit-learn and pyplot where they are installed, for parts that are not used here,
    and takes long over it: for that moment they are not.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    hidden = {"sklearn", "matplotlib.pyplot"} - set(sys.modules)
    sys.modules.update(dict.fromkeys(hidden))
    try:
        with silence():
            _import_keras()
            return importlib.import_module("tensorflow")
    finally:
        for name in hidden:
            del sys.modules[name]
