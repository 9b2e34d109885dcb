"""Several devices do what one does: training to 2e-6, sampling exactly. Two machines are two processes on loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT, STEPS, TINY, enlarge, history
from test_training import weights

import pcnn_keras as pcnn
from pcnn_keras.errors import InputError
from pcnn_keras.training.devices import MultiWorker
from pcnn_keras.training.optimizers import OPTIMIZERS

MEANS_OF_BATCHES = ("val_logits_loss", "val_conditional_logits_loss")


@pytest.mark.parametrize("config", [
    None, "", "{", "[]", "{}", '{"cluster": {"worker": ["a:1"]}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    '{"cluster": {"worker": ["a:1"], "ps": ["a:2"]}, "task": {"type": "worker", "index": 0}}',
])
def test_several_machines_need_to_know_each_other(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match="TF_CONFIG, such as"):
        MultiWorker()


def assert_same_run(folder, single):
    for name in ("last.keras", "model.keras"):
        for path, one, other in zip(paths(folder / name), weights(folder, name), weights(single, name), strict=True):
            if not path.endswith("attention/key/bias"):  # which softmax takes out again: its gradient is rounding
                np.testing.assert_allclose(one, other, atol=5e-6, rtol=0, err_msg=path)  # rounding: 2e-6 seen
    assert same_figures(folder) == [pytest.approx(row, rel=1e-5) for row in same_figures(single)]


def paths(file):
    return [weight.path for weight in keras.saving.load_model(file, compile=False).weights]


def same_figures(folder):
    """The history, but for what Keras averages over held-out batches as if all were of one size."""
    return [{name: value for name, value in row.items() if name not in MEANS_OF_BATCHES}
            for row in history(folder)]


def start(script, *arguments, **environment):
    return subprocess.Popen([sys.executable, ROOT / "tests" / script, *map(str, arguments)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
                            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore",
                                 "TF_CPP_MIN_LOG_LEVEL": "3", **environment})


@pytest.mark.full
@pytest.mark.timeout(900)
def test_two_devices_train_to_the_weights_of_one_and_draw_the_same(tmp_path, run):
    process = start("two_devices.py", tmp_path)
    out, errors = process.communicate(timeout=800)
    assert process.returncode == 0, errors
    assert "Stopped at step 3" in out and "A batch of 5 cannot be shared out evenly among 2 devices" in out
    assert "1 held-out images are fewer than 2 devices" in out
    assert_same_run(tmp_path / "mirrored", run)
    for optimizer in OPTIMIZERS:
        assert_same_run(tmp_path / optimizer / "two", tmp_path / optimizer / "one")
    image = mask = np.zeros((4, 5, 1), int)
    for seed in range(2):
        expected = pcnn.inpaint(enlarge(pcnn.build_model(TINY), 2.0, seed), image, mask, 100)
        with np.load(tmp_path / f"drawn{seed}.npz") as drawn:
            np.testing.assert_array_equal(drawn["samples"], expected.samples)
            np.testing.assert_allclose(drawn["log_likelihood"], expected.log_likelihood, rtol=1e-5)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def two_machines(folder, *flags, **environment):
    """Runs two_machines.py twice at a time: exit code, stdout and stderr of each."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    workers = [start("two_machines.py", folder, *flags, **environment,
                     TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}))
               for i in range(2)]
    outputs = [worker.communicate(timeout=550) for worker in workers]
    return [(worker.returncode, *output) for worker, output in zip(workers, outputs)]


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("lost", [0, 1])
def test_two_machines_end_with_the_same_weights_also_when_one_was_lost(tmp_path, run, lost):
    outcomes = two_machines(tmp_path, DIE=f"{lost} {STEPS + 2}")
    assert outcomes[lost][0] == -signal.SIGKILL
    code, _, errors = outcomes[1 - lost]
    assert code == 1
    assert errors.splitlines() == [f"two_machines.py: Stopped at step {STEPS + 2}: another machine was lost. "
                                   f"{tmp_path / 'run'} holds the run up to step {STEPS}."]
    outcomes = two_machines(tmp_path, "--resume")
    assert [(code, errors) for code, _, errors in outcomes] == [(0, "")] * 2
    with np.load(tmp_path / "0.npz") as one, np.load(tmp_path / "1.npz") as other:
        assert len(one.files) == len(weights(run, "last.keras"))
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])
    assert_same_run(tmp_path / "run", run)
