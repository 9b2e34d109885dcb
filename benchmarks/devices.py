"""How far training on two devices drifts from training on one: `python benchmarks/devices.py [STEPS]`.

The processor counts as two devices. Largest difference of any weight, with our optimizers, which clip the gradient of
the whole batch, and with others, which clip each device's share.
"""

import tempfile

from common import Program, machine

import pcnn_keras as pcnn


def main():
    parser = Program(__doc__)
    parser.add_argument("steps", type=int, nargs="?", default=50)
    steps = parser.parse_args().steps

    import tensorflow as tf

    from pcnn_keras.training import devices
    from pcnn_keras.training.optimizers import OPTIMIZERS
    from pcnn_keras.training.run import Keeping

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    base = pcnn.Config.preset("digits").replace(
        filters=8, prior_depth=1, conditioning_depth=1, batch_size=16, epochs=1, steps_per_epoch=steps)
    images = pcnn.load_images("digits").quantized(base.num_levels)

    def weights(config, strategy):
        with tempfile.TemporaryDirectory() as folder:
            return pcnn.train(config, images, folder, strategy=strategy, keeping=Keeping(pictures=False)).get_weights()

    print(machine())
    for name in OPTIMIZERS:
        config = base.replace(optimizer=name)
        one = weights(config, devices.Single())
        for clips, optimizers in ("the whole batch", devices.SHARED), ("each share", OPTIMIZERS):
            two = devices.Mirrored()
            two.optimizers = optimizers
            drift = max(abs(a - b).max() for a, b in zip(one, weights(config, two)))
            print(f"{steps} steps on two devices and on one, {name} that clips {clips}: "
                  f"weights differ by at most {drift:.1e}", flush=True)


if __name__ == "__main__":
    main()
