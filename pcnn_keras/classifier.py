"""`python -m pcnn_keras.classifier`: see `commands.classifier`."""

from pcnn_keras.commands.classifier import main
from pcnn_keras.commands.outcome import run

if __name__ == "__main__":
    run(main)
