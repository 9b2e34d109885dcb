"""`python -m pcnn_keras.export`: see `commands.export`."""

from pcnn_keras.commands.export import main
from pcnn_keras.commands.outcome import run

if __name__ == "__main__":
    run(main)
