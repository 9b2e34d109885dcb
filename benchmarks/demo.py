"""The page of `pcnn_keras.demo`: seconds until the first completions and until all of them are in the browser's hands.

`python benchmarks/demo.py [MODEL]`, with requirements-demo.txt installed. The server runs in a process of its own and
is asked as the page asks it; `inpaint` alone is timed in the same run.
"""

import statistics
import sys
import time
from pathlib import Path

from common import MNIST, Program, in_turn, machine, occluded_draw

import pcnn_keras as pcnn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import serve  # noqa: E402

RUNS = 7


def ask(client, model, value, count, seed):
    """Seconds until the first answer and until the last."""
    start = time.perf_counter()
    times = [time.perf_counter() - start
             for _ in client.submit(model, value, count, 1.0, seed, api_name="/complete")]
    return times[0], times[-1]


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=str(MNIST))
    folder = parser.parse_args().model

    import tensorflow as tf
    from gradio_client import Client

    from pcnn_keras.demo.parts import canvas
    from pcnn_keras.models import find_model

    folder = str(find_model(folder))

    tf.config.threading.set_intra_op_parallelism_threads(1)  # as the page's server does
    model = pcnn.load(folder)
    config = model.config
    image, mask = occluded_draw(model)
    print(machine())
    print(f"{'top 75 % hidden':20}{'first shown':>12}{'all shown':>12}{'inpaint':>12}")
    with serve("--model", folder) as address:
        client = Client(address, verbose=False)
        for count in (1, 16, 64):
            value = canvas(image, mask, config.num_levels)
            ask(client, folder, value, count, 0)
            first, last = (statistics.median(each)
                           for each in zip(*(ask(client, folder, value, count, seed) for seed in range(RUNS))))
            alone = in_turn(RUNS, draw=lambda n=count: pcnn.inpaint(model, image, mask, n))["draw"]
            seconds = (first, last, alone)
            print(f"{count:3} completions     " + "".join(f"{each:10.2f} s" for each in seconds), flush=True)


if __name__ == "__main__":
    main()
