"""The share of a training step that is spent waiting for images and masks.

`python benchmarks/data_wait.py [STEPS]` trains the paper's MNIST model on random images, and prints the
time in `next(batches)`, and a step's time on one batch that is kept: masks cost processor time even
when nobody waits for them.
"""

import time

import numpy as np
from common import Program, machine

import pcnn_keras as pcnn


def main():
    parser = Program(__doc__)
    parser.add_argument("steps", type=int, nargs="?", default=10)
    steps = parser.parse_args().steps

    from pcnn_keras.data import pipeline
    from pcnn_keras.training.compile import compile_model

    config = pcnn.Config.preset("paper-mnist")
    levels = np.random.default_rng(0).integers(0, 2, (5000, 28, 28, 1), dtype=np.uint8)
    model = pcnn.build_model(config)
    compile_model(model, 1000)
    batches = iter(pipeline.training_batches(levels, config, 0, 2 * steps + 2))
    kept = next(batches)
    model.train_on_batch(*kept)
    seconds = np.zeros((2, steps, 2))  # with the pipeline and without: waiting, working
    for fresh in (0, 1):
        for i in range(steps):
            start = time.perf_counter()
            batch = next(batches) if fresh == 0 else kept
            waited = time.perf_counter()
            model.train_on_batch(*batch)
            seconds[fresh, i] = waited - start, time.perf_counter() - waited
    waiting, working = np.median(seconds[0], axis=0)
    print(machine())
    print(f"a step: {waiting * 1000:.1f} ms waiting for data, {working * 1000:.0f} ms working: "
          f"{waiting / (waiting + working):.2%} waiting")
    print(f"a step on one kept batch: {np.median(seconds[1, :, 1]) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
