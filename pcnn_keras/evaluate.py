"""`python -m pcnn_keras.evaluate`: see `commands.evaluate`."""

from pcnn_keras.commands.evaluate import main
from pcnn_keras.commands.outcome import run

if __name__ == "__main__":
    run(main)
