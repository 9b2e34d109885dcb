"""How long a run takes, said early, and where it stands, where nobody watches a progress bar."""

import time

import keras

FIRST_STEPS = 20
"""After which a run's length is foretold; the one before them, which makes the graph, does not count."""

A_DAY = 24 * 60 * 60


class Pace(keras.callbacks.Callback):
    """Says once how long the run will take, and then, unless a progress bar does, now and then how far it is.

    Args:
        run: the `Run`.
        total_steps: at which it ends.
        every: seconds between lines, or None: no more than the first.
    """

    def __init__(self, run, total_steps, every=60):
        super().__init__()
        self._run, self._total_steps, self._every = run, total_steps, every
        self._first: tuple[int, float] | None = None  # step and time from which on the pace is taken
        self._said = 0.0  # when the last line was

    def on_train_batch_end(self, batch, logs=None):
        step, now = self._run.step, time.monotonic()
        if self._first is None:
            self._first, self._said = (step, now), now
        elif step == self._first[0] + FIRST_STEPS:
            self._say(self._foretold(now), now)
        elif self._every is not None and now - self._said >= self._every:
            nats = float(logs["logits_nats_per_image"])
            self._say(f"Step {step:,} of {self._total_steps:,}: {nats:.1f} nats per image in this epoch, "
                      f"{self._seconds_per_step(now):.2f} s per step, {duration(self._left(now))} left.", now)

    def _say(self, line, now):
        print(f"\n{line}" if self._every is None else line, flush=True)  # a progress bar has no line break yet
        self._said = now

    def _seconds_per_step(self, now):
        assert self._first
        step, start = self._first
        return (now - start) / (self._run.step - step)

    def _left(self, now):
        return (self._total_steps - self._run.step) * self._seconds_per_step(now)

    def _foretold(self, now):
        assert self._first
        left = self._left(now)
        line = (f"{self._total_steps - self._run.step:,} steps at {self._seconds_per_step(now):.2f} s: "
                f"about {duration(left)} left, and some for held-out images.")
        if left > A_DAY and self._first[0] > 1:  # of a run that goes on, the rest is settled
            line += " Shorter: --epochs N."
        elif left > A_DAY:
            line += " Shorter: --epochs N or --steps-per-epoch N, or a smaller network, --filters N --depth N."
        return line


def duration(seconds):
    """Such as "3 h 05 min", "12 min", "40 s"."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if seconds < 2 * A_DAY:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{seconds / A_DAY:.1f} days"
