"""What a lower alpha does late in training.

`TFDS_DATA_DIR=… python experiments/late_alpha.py MODEL [--steps N] [--alphas X …]`

Trains a model of MNIST for some steps more, once for each alpha, on the same images and masks, the rate falling
from a quarter of the run's peak to zero; prints nats an image of held-out images, for the model and for the
conditional head alone.
"""

from common import Program, judge, machine, mnist, train_further

import pcnn_keras as pcnn


def main():
    parser = Program(__doc__)
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--alphas", type=float, nargs="+", default=[1.0, 0.1, 0.0])
    flags = parser.parse_args()
    trained = pcnn.load(flags.model)
    config = trained.config.replace(schedule_peak=trained.config.schedule_peak / 4)
    levels, held_out = mnist(config)
    first_step = config.epochs * config.steps_in_epoch(len(levels))
    print(machine(), flush=True)
    for alpha in flags.alphas:
        model = pcnn.build_model(config.replace(alpha=alpha))
        model.set_weights(trained.get_weights())
        train_further(model, levels, flags.steps, first_step)
        print(f"alpha {alpha}: {judge(model, held_out)}", flush=True)


if __name__ == "__main__":
    main()
