"""Trains a Pixel Constrained CNN: `python train.py --dataset mnist`."""

from pcnn_keras.commands.outcome import run
from pcnn_keras.commands.train import main

if __name__ == "__main__":
    run(main)
