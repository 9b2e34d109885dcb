"""Seconds for completions by two checkouts of this repository, in turn, each in a process of its own.

`python benchmarks/two_checkouts.py BEFORE AFTER [MODEL]`: both draw with the same model (default: saved_models/mnist of
AFTER), an image of its own with the top 75 % hidden.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

RUNS = {1: 15, 4: 11, 16: 9, 64: 7, 256: 3}
"""Completions, and how often they are drawn."""


def draw(checkout, model):
    """In a process of its own: draws as many completions as each line of stdin says, and answers with the seconds."""
    sys.path.insert(0, checkout)
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the programs have it
    import pcnn_keras as pcnn

    assert Path(pcnn.__file__).is_relative_to(checkout), pcnn.__file__
    model = pcnn.load(model)
    size, channels = (model.config.height, model.config.width), model.config.channels
    image = pcnn.inpaint(model, np.zeros((*size, channels), int), np.zeros((*size, 1), int), 1, seed=1).samples[0]
    mask = pcnn.parse_mask(f"bottom:{size[0] // 4}", *size)(0)
    for line in sys.stdin:
        start = time.perf_counter()
        pcnn.inpaint(model, image, mask, int(line))
        print(time.perf_counter() - start, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    flags = parser.parse_args()
    model = (flags.model or flags.after / "saved_models" / "mnist").resolve()
    workers = [subprocess.Popen([sys.executable, __file__, "--draw", checkout, model], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
               for checkout in (flags.before.resolve(), flags.after.resolve())]
    print("completions   before    after")
    for count, runs in RUNS.items():
        seconds = [[], []]
        for _ in range(runs + 1):
            for worker, taken in zip(workers, seconds):
                print(count, file=worker.stdin, flush=True)
                taken.append(float(worker.stdout.readline()))
        before, after = (statistics.median(taken[1:]) for taken in seconds)  # the first is not counted
        print(f"{count:11} {before:8.3f} {after:8.3f}", flush=True)


if __name__ == "__main__":
    draw(*sys.argv[2:]) if sys.argv[1:2] == ["--draw"] else main()
