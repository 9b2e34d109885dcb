"""Muon: what it updates, and by how much; saved and resumed."""

import keras
import numpy as np
import pytest
from conftest import IMAGES, MERGES, SMALLER, TINY, UNET

import pcnn_keras as pcnn
from pcnn_keras.config import settings
from pcnn_keras.training.checkpoint import Checkpoint
from pcnn_keras.training.devices import SHARED
from pcnn_keras.training.optimizers import OPTIMIZERS, Muon
from pcnn_keras.training.run import Run

RATE = 0.01


def test_there_is_an_optimizer_for_each_that_the_settings_name_on_one_device_and_on_several():
    (named,) = (declared.choices for name, _, declared in settings() if name == "optimizer")
    assert set(named) == OPTIMIZERS.keys() == SHARED.keys()


def updates(optimizer, variables, gradients):
    """What one step takes off each variable."""
    before = [variable.numpy() for variable in variables]
    optimizer.apply(gradients, variables)
    return [value - variable.numpy() for value, variable in zip(before, variables)]


@pytest.mark.parametrize("changes", [MERGES[1], UNET | {"head_filters": 4}])
def test_kernels_are_updated_by_muon_but_those_of_outputs(changes):
    config = TINY.replace(**changes)
    model = pcnn.build_model(config)
    random = np.random.default_rng(0)
    gradients = [keras.ops.convert_to_tensor(random.normal(size=variable.shape).astype(np.float32))
                 for variable in model.trainable_variables]
    found = updates(Muon(RATE), model.trainable_variables, gradients)
    adam_s = updates(keras.optimizers.Adam(RATE), model.trainable_variables, gradients)
    outputs = []
    for variable, update, expected, gradient in zip(model.trainable_variables, found, adam_s, gradients):
        if variable.shape[-1:] == (config.num_levels,) and len(variable.shape) == 4:
            outputs.append(variable.path)
        if len(variable.shape) < 4 or variable.path in outputs:
            np.testing.assert_allclose(update, expected, rtol=1e-3, err_msg=variable.path)
            continue
        matrix = update.reshape(-1, update.shape[-1])
        left, singular, right = np.linalg.svd(gradient.numpy().reshape(matrix.shape), full_matrices=False)
        scaled = left.T @ matrix @ right.T / (0.2 * RATE * np.sqrt(max(matrix.shape)))
        np.testing.assert_allclose(scaled - np.diag(np.diag(scaled)), 0, atol=1e-3, err_msg=variable.path)
        large = np.diag(scaled)[singular > 0.1 * singular[0]]  # five iterations bring others only nearer to 1
        assert (large > 0.6).all() and (large < 1.3).all(), variable.path
    assert len(outputs) == 2 + (config.merge == "weighted")


def test_weights_under_a_mask_stay_as_they_are():
    model = pcnn.build_model(TINY)
    random = np.random.default_rng(0)
    gradients = [(random.normal(size=variable.shape) * (random.uniform(size=variable.shape) < 0.5)).astype(np.float32)
                 for variable in model.trainable_variables]
    found = updates(Muon(RATE), model.trainable_variables, [*map(keras.ops.convert_to_tensor, gradients)])
    for update, gradient in zip(found, gradients):
        np.testing.assert_array_equal(update == 0, gradient == 0)


def small_model():
    model = keras.Sequential([
        keras.Input((4, 5, 1)), keras.layers.Conv2D(3, 3), keras.layers.Conv2D(2, 1, name="prior_output")])
    model.compile(Muon(RATE), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_model_goes_on_when_loaded_by_keras_and_from_a_checkpoint(tmp_path):
    model, restored = small_model(), small_model()
    images, targets = IMAGES.train, np.ones((len(IMAGES.train), 2, 3, 2))
    model.fit(images, targets, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is Muon and loaded.optimizer.weight_decay is None
    checkpoint = Checkpoint(Run(tmp_path, SMALLER), IMAGES)
    checkpoint.save(model)
    checkpoint.restore(restored)
    before = model.get_weights()
    for again in (model, loaded, restored):
        again.fit(images, targets, shuffle=False, verbose=0)
    for old, one, *others in zip(before, *(each.get_weights() for each in (model, loaded, restored)), strict=True):
        assert abs(one - old).max() > RATE / 10
        for other in others:
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", SHARED)
def test_on_one_device_shared_optimizers_clip_as_others_do(name):
    found = []
    for kind in (OPTIMIZERS[name], SHARED[name]):
        weight, optimizer = keras.Variable(np.ones((2, 3), "float32")), kind(learning_rate=0.1, global_clipnorm=0.5)
        for size in (10.0, 0.1):  # one is clipped, one is not: Adam's first step alone would show nothing
            optimizer.apply([keras.ops.full((2, 3), size)], [weight])
        found.append(weight.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)
