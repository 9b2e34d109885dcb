"""`python -m pcnn_keras.export`: see `export.signatures`."""

from pcnn_keras.commands.cli import run
from pcnn_keras.export.signatures import main

if __name__ == "__main__":
    run(main)
