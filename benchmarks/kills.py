"""Kills training at random moments, goes on each time, and compares the end with that of an uninterrupted run.

`python benchmarks/kills.py [KILLS] [SEED]` trains a shrunken digits preset (36 steps) that keeps a checkpoint at
every step. A run is killed with SIGKILL at KILLS random moments, every third of them in the middle of writing a
checkpoint, and resumed. It prints where each kill hit, and at the end the figures that docs/robustness.md quotes;
exit code 1 if the two runs differ in a step, in the images and masks of a step, or in a figure by more than 1e-5 of its
size.
"""

import io
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from common import Program, machine

import pcnn_keras as pcnn
from pcnn_keras.files import CHECKPOINT
from pcnn_keras.training.history import JUDGED_BY, read_history

CONFIG = pcnn.Config.preset("digits").replace(
    filters=8, prior_depth=0, conditioning_depth=0, batch_size=16, epochs=3, steps_per_epoch=12)
STEPS = CONFIG.epochs * CONFIG.steps_per_epoch


def work(folder, events):
    """The process that is killed: trains, resumes if there is something to resume, and sends what it does."""
    from keras.callbacks import LambdaCallback

    from pcnn_keras.training.devices import Single
    from pcnn_keras.training.run import Keeping

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def slow_write(file, **arrays):
        """Writes the checkpoint in two halves, with time between them to be killed in."""
        buffer = io.BytesIO()
        savez(buffer, **arrays)
        content = buffer.getvalue()
        file.write(content[: len(content) // 2])
        file.flush()
        events.send(("writing", None))
        time.sleep(0.3)
        file.write(content[len(content) // 2 :])

    savez, np.savez = np.savez, slow_write

    class Told(Single):
        """One device, before which it is said what each step will see."""

        def fit(self, model, batches, held_out, **options):
            first_step = int(model.optimizer.iterations)
            for step, (inputs, targets, _) in enumerate(batches, first_step):
                seen = inputs["conditioning"].numpy().tobytes() + targets["logits"].numpy().tobytes()
                events.send(("data", (step, zlib.crc32(seen))))
            super().fit(model, batches, held_out, **options)

    def told_step(batch, logs):
        events.send(("step", next(steps)))

    images = pcnn.load_images("digits").quantized(CONFIG.num_levels)
    steps = itertools.count((checkpoint_step(folder) or 0) + 1)
    pcnn.train(CONFIG, images, folder, resume=(folder / CHECKPOINT).exists(), strategy=Told(),
               callbacks=[LambdaCallback(on_train_batch_end=told_step)],
               keeping=Keeping(seconds=0, pictures=False))


def checkpoint_step(folder):
    """The step of the checkpoint, every array of which must be whole; None where there is none yet."""
    if not (folder / CHECKPOINT).exists():
        return None
    with np.load(folder / CHECKPOINT) as file:
        arrays = dict(file)
    return json.loads(str(arrays["run"]))["step"]


def half_written(folder):
    """What a process that was writing a checkpoint when it died has left of it."""
    return list(folder.glob(".checkpoint.tmp*"))


def run_to_end(folder, kills, rng):
    """Trains in `folder`, killed that many times, or less often if training ends before.

    Returns:
        A dict: kills, those in the middle of a write, and the checksum of each step's images and masks.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tensorflow", "keras"])
    found = {"kills": 0, "in a write": 0, "data": {}}
    for kill in range(kills + 1):
        for left in half_written(folder):
            left.unlink()
        events, theirs = processes.Pipe(duplex=False)
        process = processes.Process(target=work, args=(folder, theirs))
        process.start()
        theirs.close()
        # Every third kill in the middle of a write, the others any time after a random event.
        in_write = kill % 3 == 0
        wait_for, count = "writing" if in_write else rng.choice(["writing", "step", "data"]), rng.randint(1, 3)
        step = None
        while True:
            try:
                event, value = events.recv()
            except EOFError:
                break
            if event == "data" and found["data"].setdefault(*value) != value[1]:
                sys.exit(f"Step {value[0]} had other images or masks than before.")
            if event == "step":
                step = value
            count -= event == wait_for
            if kill < kills and not count:
                time.sleep(0 if in_write else rng.uniform(0, 0.5))
                process.kill()
                break
        process.join()
        if process.exitcode == -signal.SIGKILL:
            in_write = bool(half_written(folder))
            found["kills"] += 1
            found["in a write"] += in_write
            print(f"kill {kill + 1}: {'before a step' if step is None else f'after step {step}'}, "
                  f"{'a checkpoint half written' if in_write else 'no checkpoint being written'}; "
                  f"the one that counts is whole, of step {checkpoint_step(folder)}", flush=True)
        elif process.exitcode:
            sys.exit(f"Training ended with exit code {process.exitcode}.")
    return found


def history(folder):
    """The figures of each epoch."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_history(folder)]


def main():
    parser = Program(__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=12)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    flags = parser.parse_args()
    print(machine(), flush=True)
    rng = random.Random(flags.seed)
    with tempfile.TemporaryDirectory() as parent:
        whole, killed = Path(parent, "whole"), Path(parent, "killed")
        expected = run_to_end(whole, 0, rng)
        found = run_to_end(killed, flags.kills, rng)
        one, other = history(whole), history(killed)
    same_data = found["data"] == expected["data"] and len(expected["data"]) == STEPS
    drift = max(abs(a[name] - b[name]) / abs(a[name]) for a, b in zip(one, other) for name in a)
    print(f"{found['kills']} kills, {found['in a write']} of them in the middle of writing a checkpoint; "
          f"{other[-1]['step']:.0f} of {STEPS} steps; images and masks of each step "
          f"{'the same' if same_data else 'NOT the same'}. Held-out nats an image: uninterrupted "
          f"{one[-1][JUDGED_BY]:.6f}, killed {other[-1][JUDGED_BY]:.6f}; "
          f"largest difference of any figure of any epoch: {drift:.1e} of its size.")
    sys.exit(not (same_data and len(one) == len(other) and drift < 1e-5))


if __name__ == "__main__":
    main()
