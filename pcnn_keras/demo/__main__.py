"""`python -m pcnn_keras.demo`: see `commands.demo`."""

from pcnn_keras.commands.demo import main
from pcnn_keras.commands.outcome import run

if __name__ == "__main__":
    run(main)
