"""`python -m pcnn_keras.figures`: see `evaluation.figures`."""

from pcnn_keras.commands.cli import run
from pcnn_keras.evaluation.figures import main

if __name__ == "__main__":
    run(main)
