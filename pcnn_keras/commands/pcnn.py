"""All programs behind one command: `pcnn train --dataset mnist`."""

import importlib
import sys
from argparse import RawDescriptionHelpFormatter

import pcnn_keras
from pcnn_keras.commands.flags import Parser
from pcnn_keras.commands.outcome import run

COMMANDS = {
    "train": "trains a model",
    "sample": "draws completions of partly hidden images",
    "evaluate": "likelihood, realism, diversity and calibration of a model",
    "figures": "the paper's figures, redrawn with a model",
    "classifier": "trains the classifier that judges realism",
    "export": "a SavedModel for TF Serving",
    "compare": "the settings and figures of several runs side by side",
    "upload": "puts a model on the Hugging Face Hub",
    "demo": "a page for inpainting by hand in a browser",
}
"""Each is a module beside this one."""


def parse():
    lines = "\n".join(f"  {name:12}{what}" for name, what in COMMANDS.items())
    parser = Parser(f"Pixel Constrained CNNs. The commands:\n{lines}", formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"pcnn_keras {pcnn_keras.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND",
                        help="one of these; COMMAND --help has its flags")
    return parser.parse_args(sys.argv[1:2])  # what follows is the command's


def main(name="pcnn"):
    """Runs the command that `sys.argv` names; `name` is how this program was called."""
    sys.argv[0] = name

    def command():
        chosen = parse().command
        sys.argv[:2] = [f"{name} {chosen}"]
        return importlib.import_module(f"pcnn_keras.commands.{chosen}").main()

    run(command)
