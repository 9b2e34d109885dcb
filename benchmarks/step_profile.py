"""Where a training step's time goes: the operations of five steps, by kind.

`python benchmarks/step_profile.py [PRESET] [--bfloat16]` (default: mnist). TensorFlow's profiler says what each
operation took, which by itself takes time: only the shares are to be read.
"""

import re
import tempfile
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from common import Program, in_turn, machine, print_kinds, random_batch

import pcnn_keras as pcnn

STEPS = 5


def traced(step):
    """Seconds and number of each type of operation in so many steps, by TensorFlow's profiler."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        space = XSpace.FromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    seconds, numbers = Counter(), Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found = re.search(r"[^:]:(\w+)$", plane.event_metadata[event.metadata_id].name)
                if found:
                    seconds[found[1]] += event.duration_ps / 1e12
                    numbers[found[1]] += 1
    return seconds, numbers


def main():
    parser = Program(__doc__)
    parser.add_argument("preset", nargs="?", default="mnist")
    parser.add_argument("--bfloat16", action="store_true")
    flags = parser.parse_args()

    from pcnn_keras.training.compile import compile_model
    from pcnn_keras.training.precision import bfloat16

    config = pcnn.Config.preset(flags.preset)
    model = pcnn.build_model(config)
    compile_model(model, 1000)
    batch = random_batch(config)
    with bfloat16() if flags.bfloat16 else nullcontext():
        taken = in_turn(STEPS, step=lambda: model.train_on_batch(*batch))["step"]
        seconds, numbers = traced(lambda: model.train_on_batch(*batch))
    print(machine())
    print(f"{flags.preset}{', bfloat16' * flags.bfloat16}: a step of {config.batch_size} images takes {taken:.2f} s; "
          f"traced: {sum(numbers.values()) // STEPS:,} operations in {sum(seconds.values()) / STEPS:.2f} s "
          "of threads' time")
    print_kinds(seconds, numbers)


if __name__ == "__main__":
    main()
