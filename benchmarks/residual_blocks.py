"""What goes inside a residual block: held-out likelihood after the same training time.

`TFDS_DATA_DIR=… python benchmarks/residual_blocks.py [SECONDS] [VARIANT …]`

Trains the paper's MNIST model with 3 gated and 6 residual blocks, once for each variant of the
block, each for as many steps as fit into SECONDS (measured on its first steps; the learning rate's
schedule covers just those). All variants are activation first and start near the identity.
"""

import sys
import time

import keras
from common import judge_after, machine, mnist
from keras import ops

import pcnn_keras as pcnn

VARIANTS = {  # kernel sides of the convolutions, in order; "norm": layer normalisation first
    "1-5-1": (1, 5, 1), "5-1": (5, 1), "5-5": (5, 5), "5": (5,), "norm 1-5-1": (1, 5, 1),
}


def variant(name):
    """A replacement of `ResidualBlock` with other convolutions inside."""
    from pcnn_keras.network.layers import near_zero

    class Block(keras.layers.Layer):
        def __init__(self, filters, kernel_size, **kwargs):
            super().__init__(**kwargs)
            sides = VARIANTS[name]
            self.norm = keras.layers.LayerNormalization() if name.startswith("norm") else None
            self.convolutions = [
                keras.layers.Conv2D(filters, side, padding="same",
                                    kernel_initializer=near_zero() if last else "he_uniform")
                for side, last in zip(sides, [False] * (len(sides) - 1) + [True])]

        def build(self, shape):
            for layer in self.convolutions + [self.norm] * (self.norm is not None):
                layer.build(shape)

        def call(self, inputs):
            x = self.norm(inputs) if self.norm else inputs
            for convolution in self.convolutions:
                x = convolution(ops.relu(x))
            return inputs + x

    return Block


def main():
    from pcnn_keras.data import pipeline
    from pcnn_keras.network import networks
    from pcnn_keras.training.compile import compile_model

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120
    config = pcnn.Config.preset("mnist").replace(prior_depth=3, conditioning_depth=6)
    train, held_out = mnist(config)
    print(machine(), flush=True)
    for name in sys.argv[2:] or VARIANTS:
        networks.ResidualBlock = variant(name)
        model = pcnn.build_model(config)
        compile_model(model, 1000)
        initial = model.get_weights()
        trial = list(pipeline.training_batches(train, config, 0, 6))
        model.train_on_batch(*trial[0])
        start = time.perf_counter()
        for batch in trial[1:]:
            model.train_on_batch(*batch)
        a_step = (time.perf_counter() - start) / 5
        steps = round(seconds / a_step)
        model.set_weights(initial)
        print(f"{name:11} {model.count_params():8} parameters, {steps} steps of {a_step:.2f} s: "
              f"{judge_after(model, steps, train, held_out)}", flush=True)


if __name__ == "__main__":
    main()
