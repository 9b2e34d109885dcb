"""`python -m pcnn_keras.demo`: see `demo.page`."""

from pcnn_keras.commands.cli import run
from pcnn_keras.demo.page import main

if __name__ == "__main__":
    run(main)
