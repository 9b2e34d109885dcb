"""Training in bfloat16, where a processor has instructions for it."""

from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}
"""For products of bfloat16, by Linux's names."""

OPTIONS = {"auto_mixed_precision_onednn_bfloat16": True, "disable_meta_optimizer": False}
"""Of TensorFlow's optimizer of graphs, which does the rewriting."""


@contextmanager
def bfloat16():
    """`with bfloat16():` TensorFlow's graphs multiply in bfloat16 on processors.

    What convolutions and matrix products multiply, what comes of them and of the sums between them, and the gradients
    of kernels are rounded to 8 bits, and so is what Muon multiplies; weights, the optimizer's sums and losses stay
    float32. It holds for held-out images, too. TensorFlow rewrites the graphs by itself, and leaves them as they are
    where the processor has no instructions for it; then a line on the screen says so.
    """
    if not any(INSTRUCTIONS & set(line.split()) for line in _processor()):
        print("This processor is not known to have bfloat16 instructions: training may be no faster.", flush=True)
    options = tf.config.optimizer.get_experimental_options()
    before = {name: options.get(name, False) for name in OPTIONS}
    tf.config.optimizer.set_experimental_options(OPTIONS)
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(before)


def _processor():
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
