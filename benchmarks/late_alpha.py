"""What a lower alpha does late in training.

`TFDS_DATA_DIR=… python benchmarks/late_alpha.py MODEL [STEPS]`

Trains a model of MNIST for some steps more, once for each alpha, on the same images and masks, the rate falling
from a quarter of the run's peak to zero; prints nats an image of held-out images, for the sum and for the
conditional head alone.
"""

import sys

from common import judge_after, machine, mnist

import pcnn_keras as pcnn


def main():
    trained = pcnn.load(sys.argv[1])
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 250
    config = trained.config.replace(schedule_peak=trained.config.schedule_peak / 4)
    train, held_out = mnist(config)
    start = config.epochs * (len(train) // config.batch_size)
    print(machine(), flush=True)
    for alpha in (1.0, 0.1, 0.0):
        model = pcnn.build_model(config.replace(alpha=alpha))
        model.set_weights(trained.get_weights())
        print(f"alpha {alpha}: {judge_after(model, steps, train, held_out, start)}", flush=True)


if __name__ == "__main__":
    main()
