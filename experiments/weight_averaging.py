"""Whether an exponential moving average of the weights is better than the last weights.

`TFDS_DATA_DIR=… python experiments/weight_averaging.py [--steps N] [--momentum X …]`

Trains MNIST at depth 3 once for each average, by Keras's own `use_ema`, and judges both the last and
the averaged weights of the same run on the same held-out images.
"""

import argparse
import functools

import keras
from common import judge, machine, mnist, train_further

import pcnn_keras as pcnn


class Judge(keras.callbacks.Callback):
    """Judges the last and the averaged weights at the end of training, before Keras puts these in the others' place."""

    def __init__(self, held_out, momentum):
        super().__init__()
        self._held_out, self._momentum = held_out, momentum

    def on_epoch_end(self, epoch, logs=None):
        print(f"momentum {self._momentum}: last weights {judge(self.model, self._held_out)}", flush=True)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        print(f"momentum {self._momentum}: averaged {judge(self.model, self._held_out)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--momentum", type=float, nargs="+", default=[0.9, 0.98])
    flags = parser.parse_args()
    config = pcnn.Config(prior_depth=3, conditioning_depth=3)
    levels, held_out = mnist(config)
    print(machine(), flush=True)
    for momentum in flags.momentum:
        averaging = functools.partial(keras.optimizers.Adam, use_ema=True, ema_momentum=momentum)
        train_further(pcnn.build_model(config), levels, flags.steps, callbacks=[Judge(held_out, momentum)],
                      optimizer=averaging)


if __name__ == "__main__":
    main()
