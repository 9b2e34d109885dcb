"""`python -m pcnn_keras.figures`: see `commands.figures`."""

from pcnn_keras.commands.figures import main
from pcnn_keras.commands.outcome import run

if __name__ == "__main__":
    run(main)
