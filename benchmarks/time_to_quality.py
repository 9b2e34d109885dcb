"""Seconds from the start of `train.py` to held-out likelihoods, for each of some lengths of training.

`python benchmarks/time_to_quality.py STEPS [STEPS ...] [-- FLAGS]`: trains anew for as many steps, with a schedule that
covers just those, and prints the nats per image of 1,000 held-out images after them. The time is that of the whole
process up to this figure: start, data, compilation, steps, held-out images. FLAGS go to `train.py`, after
`--dataset mnist`.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Program, machine

from pcnn_keras.training.history import HISTORY, JUDGED_BY, read_history

PUBLISHED = 2861
"""Seconds of the published code to 59.8 nats, 500 steps of 64, on two cores of an older Xeon of 2.8 GHz."""


def train(steps, flags):
    """Seconds and nats of one run."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        command = [sys.executable, Path(__file__).parents[1] / "train.py", "--dataset", "mnist", "--epochs", "1",
                   "--steps-per-epoch", str(steps), "--output", folder, *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        row, = read_history(Path(folder))
        return Path(folder, HISTORY).stat().st_mtime - start, row[JUDGED_BY]


def main():
    count = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    flags = sys.argv[count + 1 :]
    parser = Program(__doc__)
    parser.add_argument("steps", type=int, nargs="+")
    lengths = parser.parse_args(sys.argv[1:count]).steps
    print(f"{machine()}; flags: {' '.join(flags)}")
    print(f"| steps | seconds | nats per image | published code's {PUBLISHED} s |\n| --- | --- | --- | --- |")
    for steps in lengths:
        seconds, nats = train(steps, flags)
        print(f"| {steps} | {seconds:.0f} | {nats:.1f} | {PUBLISHED / seconds:.1f} times |", flush=True)


if __name__ == "__main__":
    main()
