import numpy as np
import pytest

from pcnn_keras.training import pace
from pcnn_keras.training.pace import Pace, duration


class Clock:
    """A run whose steps take `seconds` each."""

    def __init__(self, monkeypatch, seconds):
        self.step, self.now, self._seconds = 0, 0.0, seconds
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)

    def go_on(self, callback, steps):
        for _ in range(steps):
            self.step, self.now = self.step + 1, self.now + self._seconds
            callback.on_train_batch_end(0, {"logits_nats_per_image": np.float32(42.5)})


def test_a_run_says_early_how_long_it_takes_and_then_every_minute_how_far_it_is(monkeypatch, capsys):
    run = Clock(monkeypatch, 0.5)
    callback = Pace(run, 10_000)
    run.go_on(callback, 20)
    assert capsys.readouterr().out == ""
    run.go_on(callback, 1)
    assert capsys.readouterr().out == (
        "9,979 steps at 0.50 s: about 1 h 23 min left, and some for held-out images.\n")
    run.go_on(callback, 120)
    assert capsys.readouterr().out == (
        "Step 141 of 10,000: 42.5 nats per image in this epoch, 0.50 s per step, 1 h 22 min left.\n")
    run.go_on(callback, 240)
    assert capsys.readouterr().out.count("\n") == 2


def test_beside_a_progress_bar_only_the_first_line_comes(monkeypatch, capsys):
    run = Clock(monkeypatch, 10)
    run.go_on(Pace(run, 50_000, every=None), 500)
    line, = capsys.readouterr().out.strip().splitlines()
    assert "5.8 days left" in line and "--steps-per-epoch" in line


def test_a_run_that_goes_on_is_told_of_what_may_change(monkeypatch, capsys):
    run = Clock(monkeypatch, 10)
    run.step = 7
    run.go_on(Pace(run, 50_000, every=None), 50)
    line = capsys.readouterr().out
    assert line.endswith("Shorter: --epochs N.\n")


def test_slow_steps_are_not_waited_for_in_silence(monkeypatch, capsys):
    run = Clock(monkeypatch, 10)
    run.go_on(Pace(run, 50), 8)
    assert capsys.readouterr().out.startswith("Step 7 of 50: 42.5 nats per image in this epoch, 10.00 s per step, ")


@pytest.mark.parametrize("seconds, words", [
    (0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (3600, "1 h 00 min"), (100_000, "27 h 47 min"),
    (200_000, "2.3 days")])
def test_duration(seconds, words):
    assert duration(seconds) == words
