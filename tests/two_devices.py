"""Run by test_devices.py in a process of its own, whose processor counts as two devices.

`two_devices.py FOLDER`: trains on both what test_training.py trains on one, stopped in the middle
and resumed, and keeps completions that both drew.
"""

import functools
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)

from conftest import CONFIG, IMAGES, TINY, enlarge  # noqa: E402

import pcnn_keras as pcnn  # noqa: E402
from pcnn_keras.errors import InputError, Stopped  # noqa: E402
from pcnn_keras.inference import sampling  # noqa: E402
from pcnn_keras.training.devices import Mirrored, Single  # noqa: E402
from pcnn_keras.training.optimizers import OPTIMIZERS  # noqa: E402
from pcnn_keras.training.run import Keeping  # noqa: E402


def interrupt(batch, logs):
    if batch == 2:
        signal.raise_signal(signal.SIGINT)


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background of a shell ignore
    folder = Path(sys.argv[1])
    train = functools.partial(pcnn.train, keeping=Keeping(pictures=False))  # which take longest
    strategy = Mirrored()
    assert strategy.replicas == 2
    try:
        train(CONFIG, IMAGES, folder / "mirrored", strategy=strategy,
              callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=interrupt)])
    except Stopped as stopped:
        print(stopped)
    trained = train(CONFIG, IMAGES, folder / "mirrored", resume=True, strategy=strategy)
    reloaded, masks = pcnn.load(folder / "mirrored"), np.zeros((len(IMAGES.train), 4, 5, 1), int)
    reloaded.set_weights(trained.get_weights())  # the last, not the best
    np.testing.assert_allclose(*(pcnn.log_likelihood(model, IMAGES.train, masks) for model in (trained, reloaded)))
    try:
        train(CONFIG.replace(batch_size=5), IMAGES, folder / "odd", strategy=strategy)
    except InputError as error:
        print(error)

    one_left = IMAGES._replace(validation=IMAGES.validation[:5])  # for the second held-out batch of four
    deep = CONFIG.replace(prior_depth=1, epochs=1, steps_per_epoch=1)
    for optimizer in OPTIMIZERS:
        for name, one_or_two in (("one", Single()), ("two", strategy)):
            train(deep.replace(optimizer=optimizer), one_left, folder / optimizer / name, strategy=one_or_two)
    try:
        train(CONFIG, IMAGES._replace(validation=IMAGES.validation[:1]), folder / "too few", strategy=strategy)
    except InputError as error:
        print(error)

    used = set()

    def drawn_on(model, *arguments):
        used.update(weight.value.device[-5:] for weight in model.weights)
        return draw(model, *arguments)

    draw, sampling._fast = sampling._fast, drawn_on
    model = enlarge(pcnn.build_model(TINY), 2.0)
    image, mask = np.zeros((4, 5, 1), int), np.zeros((4, 5, 1), int)
    for seed in range(2):  # weights that change reach the copies
        enlarge(model, 2.0, seed)
        drawn = pcnn.inpaint(model, image, mask, num_samples=100, batch_size=8)
        np.savez(folder / f"drawn{seed}.npz", **drawn._asdict())
    assert used == {"CPU:0", "CPU:1"}, used


if __name__ == "__main__":
    main()
