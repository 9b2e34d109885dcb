"""Run by test_devices.py, twice at a time: `two_machines.py FOLDER [--resume]` trains as one of two machines.

With DIE="INDEX STEP" in the environment that machine kills itself when it has taken that step.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

import numpy as np

from pcnn_keras.commands.outcome import run
from pcnn_keras.quiet import import_tensorflow


def main():
    import_tensorflow()
    from pcnn_keras.training.devices import MultiWorker

    strategy = MultiWorker()
    from conftest import CONFIG, IMAGES
    from keras.callbacks import LambdaCallback

    from pcnn_keras.training.train import train

    folder = Path(sys.argv[1])
    index = 0 if strategy.writes else 1
    lost, last = map(int, os.environ.get("DIE", "-1 -1").split())
    steps = itertools.count(1)

    def die(batch, logs):
        if (index, next(steps)) == (lost, last):
            os.kill(os.getpid(), signal.SIGKILL)

    model = train(CONFIG, IMAGES, folder / "run", resume="--resume" in sys.argv, strategy=strategy,
                  callbacks=[LambdaCallback(on_train_batch_end=die)])
    np.savez(folder / f"{index}.npz", *model.get_weights())


if __name__ == "__main__":
    run(main)
