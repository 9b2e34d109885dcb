"""`python -m pcnn_keras.evaluate`: see `evaluation.evaluate`."""

from pcnn_keras.commands.cli import run
from pcnn_keras.evaluation.evaluate import main

if __name__ == "__main__":
    run(main)
