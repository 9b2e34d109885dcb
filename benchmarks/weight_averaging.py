"""Whether an exponential moving average of the weights is better than the last weights.

`TFDS_DATA_DIR=… python benchmarks/weight_averaging.py [STEPS]`

Trains MNIST at depth 3 once for each average, by Keras's own `use_ema`, and judges both the last and
the averaged weights of the same run on the same held-out images.
"""

import sys

import keras
from common import machine, mnist

import pcnn_keras as pcnn


def main():
    from pcnn_keras.data import pipeline
    from pcnn_keras.training.compile import compile_model, learning_rate

    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    config = pcnn.Config.preset("mnist").replace(prior_depth=3, conditioning_depth=3)
    train, held_out = mnist(config)
    print(machine(), flush=True)
    for momentum in (0.9, 0.98):
        model = pcnn.build_model(config)
        compile_model(model, steps)
        model.optimizer = keras.optimizers.Adam(learning_rate(config, steps), global_clipnorm=config.clip_norm,
                                                use_ema=True, ema_momentum=momentum)
        model.fit(pipeline.training_batches(train, config, 0, steps), verbose=0, shuffle=False, epochs=1,
                  steps_per_epoch=steps, callbacks=[Judge(held_out, momentum)])


class Judge(keras.callbacks.Callback):
    """Prints the held-out likelihood of the last and of the averaged weights at the end of an epoch."""

    def __init__(self, held_out, momentum):
        super().__init__()
        self.held_out, self.momentum = held_out, momentum

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        last = model.get_weights()
        nats = [model.evaluate(self.held_out, verbose=0, return_dict=True)["logits_nats_per_image"]]
        model.optimizer.finalize_variable_values(model.trainable_variables)  # the averages take their place
        nats.append(model.evaluate(self.held_out, verbose=0, return_dict=True)["logits_nats_per_image"])
        model.set_weights(last)
        print(f"momentum {self.momentum}: last weights {nats[0]:.2f}, averaged {nats[1]:.2f} nats an image", flush=True)


if __name__ == "__main__":
    main()
