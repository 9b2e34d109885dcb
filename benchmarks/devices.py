"""How far training on two devices drifts from training on one: `python benchmarks/devices.py [STEPS]`.

The processor counts as two devices. Largest difference of any weight, with our optimizer, which clips the gradient of
the whole batch, and with Keras's, which clips each device's share.
"""

import tempfile

import numpy as np
from common import Program, machine

import pcnn_keras as pcnn


def main():
    parser = Program(__doc__)
    parser.add_argument("steps", type=int, nargs="?", default=50)
    steps = parser.parse_args().steps

    import keras
    import tensorflow as tf

    from pcnn_keras.data.sources import load_images
    from pcnn_keras.training import devices
    from pcnn_keras.training.run import Keeping

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    config = pcnn.Config.preset("digits").replace(
        filters=8, prior_depth=1, conditioning_depth=1, batch_size=16, epochs=1, steps_per_epoch=steps)
    images = load_images("digits").quantized(config.num_levels)

    def weights(strategy):
        with tempfile.TemporaryDirectory() as folder:
            return pcnn.train(config, images, folder, strategy=strategy, keeping=Keeping(pictures=False)).get_weights()

    one = weights(devices.Single())
    print(machine())
    for optimizer in (devices.SharedAdam, keras.optimizers.Adam):
        two = devices.Mirrored()
        two.optimizer = optimizer
        drift = max(abs(a - b).max() for a, b in zip(one, weights(two)))
        print(f"{steps} steps on two devices and on one, {optimizer.__module__.split('.')[0]}'s Adam: "
              f"weights differ by at most {np.float64(drift):.1e}", flush=True)


if __name__ == "__main__":
    main()
