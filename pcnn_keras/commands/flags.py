"""Flags that fail in one line, with exit code 2."""

import argparse
import sys
from pathlib import Path

from pcnn_keras.commands.outcome import leave, program
from pcnn_keras.errors import InputError
from pcnn_keras.models import HOME, find_model


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage block."""

    def __init__(self, description, **options):
        super().__init__(program(), description=description, allow_abbrev=False, **options)

    def add_model(self):
        """The flag of programs that use a trained model."""
        self.add_argument("--model", default=HOME / "mnist", metavar="MODEL",
                          help="folder of a trained model, the name of one that comes with the package, such as "
                               "mnist, or hf://USER/REPO on the Hugging Face Hub (default: %(default)s)")

    def add_images(self, dataset_help="take images from this set's test split (default: the model's own)"):
        """The flags of programs that read a data set."""
        self.add_argument("--dataset", help=dataset_help)
        self.add_argument("--data-dir", help="folder of images, or of prepared TFDS sets")

    def add_settings(self, settings):
        """The flags of `config.settings`; each is the field's name in what is parsed, None if it is not given."""
        for name, kind, declared in settings:
            flag = f"--{name.replace('_', '-')}" if declared.flag is None else declared.flag
            if not flag:
                continue
            if kind in (int, float):
                options = {"type": number(kind, declared.least, declared.most), "metavar": "N" if kind is int else "X"}
            elif kind is tuple:
                options = {"nargs": "+", "metavar": "SPEC"}
            else:
                options = {"choices": declared.choices}
            self.add_argument(flag, dest=name, help=declared.help, **options)

    def parse_args(self, args=None, namespace=None):
        """With the folder of the model, `model`, and, if that was found by a name, the name, `named`; otherwise ""."""
        args = sys.argv[1:] if args is None else args
        if "" in args:  # such as "$UNSET": as a path it would be the folder where one is
            self.error("an argument is empty")
        flags = super().parse_args(args, namespace)
        for name, value in vars(flags).items():
            if value == []:  # what argparse makes of --flag=--
                self.error(f"argument --{name.replace('_', '-')}: expected a value")
        if getattr(flags, "model", None) is not None:
            given, flags.model = flags.model, find_model(flags.model)
            flags.named = "" if flags.model == Path(given) else Path(str(given).partition("@")[0]).name
        return flags

    def error(self, message):
        leave(message, 2)


def expect_own(flags):
    """An `InputError` if `--model` was a name: what comes with the package, or from the Hub, stays as it is."""
    if flags.named:
        raise InputError(f"The model {flags.named} came with the package or from the Hub, and its folder {flags.model} "
                         "stays as it is: copy that, and name the copy with --model.")


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
