"""Kills training at random moments, goes on each time, and compares the end with that of an uninterrupted run.

`python benchmarks/kills.py [KILLS] [SEED]` trains a shrunken digits preset (24 steps) that keeps a checkpoint at
every step. A run is killed with SIGKILL at KILLS random moments, every third of them in the middle of writing a
checkpoint, and resumed. It prints where each kill hit, and at the end the figures that the README quotes; exit code 1 if any differs.
"""

import csv
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine

import pcnn_keras as pcnn

HERE = Path(__file__)
CONFIG = pcnn.Config.preset("digits").replace(
    filters=8, prior_depth=0, conditioning_depth=0, batch_size=16, epochs=3, steps_per_epoch=8)
STEPS = CONFIG.epochs * CONFIG.steps_per_epoch


def work(folder):
    """The process that is killed: trains, resumes if there is something to resume, says what it does."""
    from pcnn_keras import training
    from pcnn_keras.data import Images, load_images
    from pcnn_keras.pixels import quantize

    write = np.savez

    def slow_write(file, **arrays):
        """Writes the checkpoint in two halves, with time between them to be killed in."""
        print("writing", flush=True)
        buffer = io.BytesIO()
        write(buffer, **arrays)
        content = buffer.getvalue()
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(0.3)
        file.write(content[len(content) // 2 :])
        print("written", flush=True)

    class Telling(training.Recorder):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            print(f"step {self.step}", flush=True)

    np.savez = slow_write
    training.Recorder, training.CHECKPOINT_SECONDS = Telling, -1
    images = Images(*(quantize(part, CONFIG.num_levels) for part in load_images("digits")))
    training.train(CONFIG, images, folder, resume=(folder / training.CHECKPOINT).exists())
    print("done", flush=True)


def start(folder):
    return subprocess.Popen([sys.executable, HERE, "--work", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True)


def checkpoint_step(folder):
    """The step of the checkpoint, which must be whole; None where there is none yet."""
    if not (folder / "checkpoint.npz").exists():
        return None
    with np.load(folder / "checkpoint.npz") as file:
        for name in file.files:
            _ = file[name]
        return json.loads(str(file["run"]))["step"]


def run_to_end(folder, kills, rng):
    """Trains in `folder`, killed that many times. Returns how many kills hit a write, and steps taken twice."""
    in_write = again = done_before = 0
    for kill in range(kills + 1):
        process, step = start(folder), None
        # A third of the kills in the middle of a write, the others any time after a random line of output.
        wait_for = "writing" if kill % 3 == 0 else rng.choice(["writing", "written", "step", "step"])
        lines, delay = rng.randint(1, 3), rng.uniform(0, 0.05) if kill % 3 == 0 else rng.uniform(0, 0.5)
        for line in process.stdout:
            if line.startswith("step "):
                step = int(line.split()[1])
                again += step <= done_before
            lines -= line.startswith(wait_for)
            if kill < kills and not lines:
                time.sleep(delay)
                process.kill()  # SIGKILL
                break
        process.wait()
        if kill == kills:
            return in_write, again
        half_written = (folder / ".checkpoint.tmp.npz").exists()
        in_write += half_written
        kept = checkpoint_step(folder)
        print(f"kill {kill + 1}: at step {step}, {'in a write' if half_written else 'elsewhere'}; "
              f"the checkpoint is whole, of step {kept}", flush=True)
        done_before = max(done_before, step or 0)


def result(folder):
    """What is compared: steps, and the figures of each epoch."""
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if name != "seconds"} for row in rows]


def main():
    print(machine(), flush=True)
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    with tempfile.TemporaryDirectory() as parent:
        whole, killed = Path(parent, "whole"), Path(parent, "killed")
        run_to_end(whole, 0, rng)
        in_write, again = run_to_end(killed, kills, rng)
        one, other = result(whole), result(killed)
        drift = max(abs(a[name] - b[name]) / abs(a[name]) for a, b in zip(one, other) for name in a)
        steps = [row["step"] for row in other]
        fine = steps == [row["step"] for row in one] and drift < 1e-5
        print(f"{kills} kills, {in_write} in the middle of writing a checkpoint; {again} steps taken again; "
              f"{steps[-1]:.0f} of {STEPS} steps in {len(steps)} epochs. Held-out nats an image: uninterrupted "
              f"{one[-1]['val_logits_nats_per_image']:.6f}, killed {other[-1]['val_logits_nats_per_image']:.6f}; "
              f"largest relative difference of any figure of any epoch: {drift:.1e}.")
    sys.exit(not fine)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]))
    else:
        main()
