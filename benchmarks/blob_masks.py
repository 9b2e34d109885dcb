"""Blob masks a second, 28 x 28 and the paper's numbers, against Algorithm 1 read literally.

`python benchmarks/blob_masks.py`, with `requirements-test.txt` installed: the literal reading is that of the tests.
"""

import random
import sys
import time
from pathlib import Path

from common import Program, in_turn, machine

import pcnn_keras as pcnn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))


def main():
    Program(__doc__).parse_args()

    import tensorflow as tf
    from test_blobs import literal_blob_mask

    print(machine())
    rng = random.Random(0)
    start = time.perf_counter()
    for _ in range(50):
        literal_blob_mask(28, 28, 4, 2, 7, rng)
    literal = 50 / (time.perf_counter() - start)
    print(f"literal, in Python: {literal:10.0f} masks/s")
    for batch in (64, 256, 1024, 2048):
        draw = tf.function(lambda seed, batch=batch: pcnn.random_blob_masks(batch, 28, 28, seed=seed))
        seconds = in_turn(20, draw=lambda draw=draw: draw(tf.constant([0, 1], tf.int64)).numpy())["draw"]
        rate = batch / seconds
        print(f"batches of {batch:4}:    {rate:10.0f} masks/s, {rate / literal:.0f} times as many")


if __name__ == "__main__":
    main()
