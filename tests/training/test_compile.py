"""The learning rate."""

import numpy as np
import pytest
from conftest import TINY

import pcnn_keras as pcnn
from pcnn_keras.training.compile import compile_model, learning_rate
from pcnn_keras.training.optimizers import OPTIMIZERS


@pytest.mark.parametrize("total_steps, warmup", [(150, 6), (30, 3), (5, 0), (1, 0)])
def test_the_rate_warms_up_to_its_peak_and_falls_to_0(total_steps, warmup):
    schedule = learning_rate(TINY.replace(learning_rate=0.01, schedule_peak=3.0, warmup_steps=6), total_steps)
    rates = np.array([float(schedule(step)) for step in range(total_steps + 1)])
    assert np.isfinite(rates).all()
    assert rates.argmax() == warmup and rates.max() == pytest.approx(0.03)
    assert (np.diff(rates[: warmup + 1]) > 0).all() and (np.diff(rates[warmup:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-8)
    assert warmup == 0 or rates[0] == 0


@pytest.mark.parametrize("name, kind", OPTIMIZERS.items())
def test_the_settings_choose_the_optimizer_and_where_gradients_are_clipped(name, kind):
    for norm in (0.0, 3.5):
        model = pcnn.build_model(TINY.replace(optimizer=name, clip_norm=norm))
        compile_model(model, 10)
        assert type(model.optimizer) is kind and model.optimizer.global_clipnorm == (norm or None)


def test_the_paper_s_rate_is_constant():
    assert learning_rate(TINY.replace(schedule="constant", learning_rate=0.01), 100) == 0.01
