"""What a lower alpha does late in training.

`TFDS_DATA_DIR=… python benchmarks/late_alpha.py MODEL [STEPS]`

Trains a model of MNIST for some steps more, once for each alpha, on the same images and masks, the rate falling
from a quarter of the run's peak to zero; prints nats an image of held-out images, for the sum and for the
conditional head alone.
"""

import sys

from common import machine, mnist

import pcnn_keras as pcnn


def main():
    from pcnn_keras import data
    from pcnn_keras.training import compile_model

    trained = pcnn.load(sys.argv[1])
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 250
    config = trained.config.replace(schedule_peak=trained.config.schedule_peak / 4)
    train, held_out = mnist(config)
    start = config.epochs * (len(train) // config.batch_size)
    print(machine(), flush=True)
    for alpha in (1.0, 0.1, 0.0):
        model = pcnn.build_model(config.replace(alpha=alpha))
        model.set_weights(trained.get_weights())
        compile_model(model, steps)
        model.fit(data.training_batches(train, config, start, steps), verbose=0, shuffle=False, epochs=1,
                  steps_per_epoch=steps)
        nats = model.evaluate(held_out, verbose=0, return_dict=True)
        print(f"alpha {alpha}: {nats['logits_nats_per_image']:.2f} nats an image, conditional head alone "
              f"{nats['conditional_logits_nats_per_image']:.1f}", flush=True)


if __name__ == "__main__":
    main()
