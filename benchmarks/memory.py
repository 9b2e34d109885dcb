"""Whether memory stays flat: resident set over 2,000 training steps, and over 200 calls of the sampler.

`python benchmarks/memory.py [STEPS] [CALLS]` trains a tiny model as `train.py` does (checkpoints, pictures and all)
and draws completions of images that differ from call to call. The slope is that of a line through the second half: the
first fills caches.
"""

import os
import tempfile

import numpy as np
from common import Program, machine

import pcnn_keras as pcnn

CONFIG = pcnn.Config.preset("digits").replace(
    filters=8, prior_depth=1, conditioning_depth=1, batch_size=16, epochs=8)


def resident():
    """Megabytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Gauge:
    """Notes the resident set at every call, prints it twenty times, and its slope at the end."""

    def __init__(self, what, total):
        self.what, self.total, self.megabytes = what, total, []

    def __call__(self):
        self.megabytes.append(resident())
        if len(self.megabytes) % max(1, self.total // 20) == 0:
            print(f"{len(self.megabytes):6} {self.what}: {self.megabytes[-1]:.1f} MB", flush=True)

    def slope(self):
        half = self.megabytes[len(self.megabytes) // 2 :]
        line = np.polyfit(np.arange(len(half)), half, 1)[0]
        print(f"{self.what}: {1000 * line:+.2f} MB per 1,000 over the second half "
              f"({half[0]:.1f} MB at its start, {half[-1]:.1f} MB at its end)", flush=True)


def main():
    parser = Program(__doc__)
    parser.add_argument("steps", type=int, nargs="?", default=2000)
    parser.add_argument("calls", type=int, nargs="?", default=200)
    flags = parser.parse_args()

    from keras.callbacks import LambdaCallback

    print(machine(), flush=True)
    config = CONFIG.replace(steps_per_epoch=-(-flags.steps // CONFIG.epochs))
    rng = np.random.default_rng(0)
    images = pcnn.Splits(*(rng.integers(0, config.num_levels, (n, 8, 8, 1), np.uint8) for n in (1000, 100, 10)))
    gauge = Gauge("training steps", flags.steps)

    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: gauge())
    with tempfile.TemporaryDirectory() as folder:
        model = pcnn.train(config, images, folder, callbacks=[watch])
    gauge.slope()
    gauge = Gauge("sampling calls", flags.calls)
    for i in range(flags.calls):
        image, mask = (rng.integers(0, top, (8, 8, 1)) for top in (config.num_levels, 2))
        pcnn.inpaint(model, image, mask, num_samples=8 + i % 5, seed=i)
        gauge()
    gauge.slope()


if __name__ == "__main__":
    main()
