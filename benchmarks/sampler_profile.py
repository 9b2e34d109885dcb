"""Where the fast sampler's time goes: the operations of one request to the exported model, by kind.

`python benchmarks/sampler_profile.py [MODEL]`: 64 completions by a trained model (default: saved_models/mnist), the top
75 % of one of its own draws hidden. TensorFlow's trace says what each operation took, which by itself takes time: only
the shares are to be read. What no operation has is between them: finding the next one that is ready.
"""

import re
import tempfile
import time
from collections import Counter

from common import MNIST, Program, machine, occluded_draw, print_kinds

import pcnn_keras as pcnn
from serving import served

COUNT = 64


def traced(ask):
    """Seconds of the request, and of each kind and type of operation, with their numbers."""
    import tensorflow as tf

    v1 = tf.compat.v1
    trace = v1.RunMetadata()
    start = time.perf_counter()
    ask(options=v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE), run_metadata=trace)
    taken = time.perf_counter() - start
    seconds, numbers = Counter(), Counter()
    for device in trace.step_stats.dev_stats:
        for node in device.node_stats:
            found = re.search(r"= (\w+)\(", node.timeline_label)
            name = found[1] if found else "other"
            seconds[name] += (node.op_end_rel_nanos - node.op_start_rel_nanos) / 1e9
            numbers[name] += 1
    return taken, seconds, numbers


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=MNIST)
    flags = parser.parse_args()

    from pcnn_keras.export.signatures import export

    model = pcnn.load(flags.model)
    image, mask = occluded_draw(model)
    with tempfile.TemporaryDirectory() as folder:
        ask = served(export(model, folder))
        ask(image, mask, COUNT)
        taken, seconds, numbers = traced(lambda **options: ask(image, mask, COUNT, **options))
    print(machine())
    print(f"{COUNT} completions, traced: {taken:.2f} s; {sum(numbers.values()):,} operations in "
          f"{sum(seconds.values()):.2f} s")
    print_kinds(seconds, numbers)


if __name__ == "__main__":
    main()
