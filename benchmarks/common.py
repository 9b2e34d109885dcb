"""What the benchmarks share: their flags, the machine's name, and timing two things in turn."""

import argparse
import os
import platform
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import pcnn_keras as pcnn  # noqa: E402
from pcnn_keras.quiet import import_tensorflow  # noqa: E402

MNIST = Path(__file__).parents[1] / "saved_models" / "mnist"

KINDS = {
    "products": "MatMul|BatchMatMulV2|Conv2D(Backprop.*)?|_Fused(Batch)?MatMul(V2)?|_FusedConv2D|_Mkl.*",
    "copies": "Concat.*|Gather.*|Slice|StridedSlice(Grad)?|Pad|Transpose|Split.*|Pack|Unpack|Tile|TensorList.*|Where"
              "|TensorScatterUpdate|Reshape|ExpandDims|Squeeze|OneHot|Shape|BroadcastTo|SelectV2|Fill|Cast",
    "control flow": "Enter|Exit|Merge|Switch|NextIteration|LoopCond|Identity|NoOp|Const|.*PartitionedCall|_Arg|_Retval",
    "pixel by pixel": ".*",
}
"""Kinds of TensorFlow's operations, by the names of their types; the first that fits counts."""


class Program(argparse.ArgumentParser):
    """The flags of a program, whose help is its docstring. After them TensorFlow is imported, without its log."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_args(self, args=None, namespace=None):
        flags = super().parse_args(args, namespace)
        import_tensorflow()
        return flags


def machine():
    """One line: processor, cores, versions."""
    import keras
    import tensorflow as tf

    about = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", about.read_text() if about.is_file() else "", flags=re.M)
    gpus = len(tf.config.list_physical_devices("GPU"))
    return (f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {gpus} GPU; "
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}")


def occluded_draw(model):
    """An image that the model draws with nothing visible, and a mask that hides its top 75 %."""
    config = model.config
    nothing = np.zeros((config.height, config.width, config.channels), np.int32)
    image = pcnn.inpaint(model, nothing, "none", 1, seed=1).samples[0]
    return image, top_hidden(config, 0.75)


def top_hidden(config, share):
    """Mask `(height, width, 1)`: the top `share` of the rows hidden."""
    visible = config.height - round(share * config.height)
    return pcnn.parse_mask(f"bottom:{visible}", config.height, config.width)(0)


def whole_pass(model, image, mask, count):
    """A function that evaluates the whole model, teacher-forced, on so many copies of an image."""
    from pcnn_keras.inference.inputs import inputs_of

    images, masks = np.repeat(image[None], count, 0), np.repeat(mask[None], count, 0)
    inputs = [inputs_of(images, masks, model.config, k) for k in range(model.config.slices**2)]
    return lambda: [model.predict_on_batch(each) for each in inputs]


def in_turn(runs, **functions):
    """Median seconds of each function, called in turn (A B A B …) after one call that is not counted."""
    seconds = {name: [] for name in functions}
    for i in range(runs + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def random_batch(config):
    """A training batch of the model's size, of random levels under blob masks."""
    import tensorflow as tf

    from pcnn_keras.data.pipeline import examples

    shape = (config.batch_size, config.height, config.width)
    levels = tf.random.stateless_uniform((*shape, config.channels), (0, 0), 0, config.num_levels, tf.int32)
    masks = pcnn.random_blob_masks(*shape, config.max_num_blobs, config.iter_min, config.iter_max)
    return examples(levels, masks, config)


def print_kinds(seconds, numbers):
    """Prints a table of the kinds of operations from the seconds and the number of each type."""
    total = sum(seconds.values())
    types = {kind: [] for kind in KINDS}
    for name in sorted(seconds, key=seconds.get, reverse=True):
        types[next(kind for kind, names in KINDS.items() if re.fullmatch(names, name))].append(name)
    print("| kind | share | operations | most of it |\n| --- | --- | --- | --- |")
    for kind, names in types.items():
        most = ", ".join(f"{name} {seconds[name] / total:.0%}" for name in names[:5])
        print(f"| {kind} | {sum(seconds[name] for name in names) / total:.0%} "
              f"| {sum(numbers[name] for name in names):,} | {most} |")
