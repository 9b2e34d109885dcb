"""What the benchmarks share: the machine's name, and timing two things in turn."""

import os
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def machine():
    """One line: processor, cores, versions."""
    import keras
    import tensorflow as tf

    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    gpus = len(tf.config.list_physical_devices("GPU"))
    return (f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {gpus} GPU; "
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}")


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
