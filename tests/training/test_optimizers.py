"""Muon: what it updates, and by how much."""

import keras
import numpy as np
import pytest
from conftest import TINY

import pcnn_keras as pcnn
from pcnn_keras.training.optimizers import Muon

RATE = 0.01


def updates(optimizer, variables, gradients):
    """What one step takes off each variable."""
    before = [variable.numpy() for variable in variables]
    optimizer.apply(gradients, variables)
    return [value - variable.numpy() for value, variable in zip(before, variables)]


def is_muon_s(variable):
    return len(variable.shape) == 4 and variable.path.split("/")[0] not in ("prior_output", "conditioning_output")


@pytest.mark.parametrize("changes", [
    {}, {"merge": "weighted", "head_filters": 4}, {"merge": "blocks", "conditioner": "unet", "attention_heads": 2}])
def test_kernels_of_convolutions_are_updated_by_muon_and_all_else_by_adam(changes):
    model = pcnn.build_model(TINY.replace(**changes))
    random = np.random.default_rng(0)
    gradients = [keras.ops.convert_to_tensor(random.normal(size=variable.shape).astype(np.float32))
                 for variable in model.trainable_variables]
    got = updates(Muon(RATE), model.trainable_variables, gradients)
    adam = updates(keras.optimizers.Adam(RATE), model.trainable_variables, gradients)
    muon_s = 0
    for variable, update, expected, gradient in zip(model.trainable_variables, got, adam, gradients):
        if not is_muon_s(variable):
            np.testing.assert_allclose(update, expected, rtol=1e-3, err_msg=variable.path)
            continue
        muon_s += 1
        matrix = update.reshape(-1, update.shape[-1])
        left, singular, right = np.linalg.svd(gradient.numpy().reshape(matrix.shape), full_matrices=False)
        scale = 0.2 * RATE * np.sqrt(max(matrix.shape))
        found = left.T @ matrix @ right.T / scale
        np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-3, err_msg=variable.path)
        well = singular > 0.1 * singular[0]  # five iterations bring others only nearer to 1
        assert ((np.diag(found)[well] > 0.6) & (np.diag(found)[well] < 1.3)).all(), variable.path
    assert muon_s > len(model.trainable_variables) // 3
