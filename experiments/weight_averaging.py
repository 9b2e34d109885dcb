"""Whether an exponential moving average of the weights is better than the last weights.

`TFDS_DATA_DIR=… python experiments/weight_averaging.py [--steps N] [--momentum X …] [--base SETTINGS]`

Trains MNIST once for each average, by Keras's own `use_ema`, and judges both the last and the averaged weights of the
same run on the same held-out images. Settings are those of `Config`, as `compare.py` has them.
"""

import functools

from common import Program, machine, settings, train_steps

import pcnn_keras as pcnn


def judge(model, held_out):
    """What a model makes of the held-out images, in words."""
    nats = model.evaluate(held_out, verbose=0, return_dict=True)
    return (f"{nats['logits_nats_per_image']:.2f} nats an image, conditional head alone "
            f"{nats['conditional_logits_nats_per_image']:.1f}")


def judging(model, held_out, momentum):
    """Judges the last and the averaged weights at the end of training, before Keras puts these in the others' place."""
    from keras.callbacks import LambdaCallback

    def judge_both(epoch, logs):
        print(f"momentum {momentum}: last weights {judge(model, held_out)}", flush=True)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        print(f"momentum {momentum}: averaged {judge(model, held_out)}", flush=True)

    return LambdaCallback(on_epoch_end=judge_both)


def main():
    parser = Program(__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--momentum", type=float, nargs="+", default=[0.9, 0.98])
    parser.add_argument("--base", default="prior_depth=3 conditioning_depth=3")
    flags = parser.parse_args()

    from pcnn_keras.data.pipeline import held_out_batches
    from pcnn_keras.training.optimizers import OPTIMIZERS
    from pcnn_keras.training.train import HELD_OUT_IMAGES

    config = pcnn.Config().replace(**settings(flags.base))
    splits = pcnn.load_images("mnist").quantized(config.num_levels)
    held_out = held_out_batches(splits.validation[:HELD_OUT_IMAGES], config).cache()
    print(machine(), flush=True)
    for momentum in flags.momentum:
        averaging = functools.partial(OPTIMIZERS[config.optimizer], use_ema=True, ema_momentum=momentum)
        model = pcnn.build_model(config)
        train_steps(model, splits.train, flags.steps, callbacks=[judging(model, held_out, momentum)],
                      optimizers={config.optimizer: averaging})


if __name__ == "__main__":
    main()
