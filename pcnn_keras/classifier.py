"""`python -m pcnn_keras.classifier`: see `evaluation.classifier`."""

from pcnn_keras.commands.cli import run
from pcnn_keras.evaluation.classifier import main

if __name__ == "__main__":
    run(main)
