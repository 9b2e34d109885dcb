"""Draws completions of partly hidden images: `python sample.py --model saved_models/mnist --mask bottom:7`."""

from pcnn_keras.commands.outcome import run
from pcnn_keras.commands.sample import main

if __name__ == "__main__":
    run(main)
