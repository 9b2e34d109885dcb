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


def mnist(config):
    """Training levels, and the held-out batches that `train.py` judges by."""
    from pcnn_keras.data import pipeline, sources
    from pcnn_keras.data.pixels import quantize
    from pcnn_keras.training.train import HELD_OUT_IMAGES

    train, validation, _ = (quantize(part, config.num_levels) for part in sources.load_images("mnist"))
    return train, pipeline.held_out_batches(validation[:HELD_OUT_IMAGES], config).cache()


def judge_after(model, steps, train, held_out, first_step=0):
    """Trains a model on MNIST for so many steps, and says what it makes of the held-out images."""
    from pcnn_keras.data import pipeline
    from pcnn_keras.training.compile import compile_model

    compile_model(model, steps)
    model.fit(pipeline.training_batches(train, model.config, first_step, steps), verbose=0, shuffle=False)
    nats = model.evaluate(held_out, verbose=0, return_dict=True)
    return (f"{nats['logits_nats_per_image']:.2f} nats an image, conditional head alone "
            f"{nats['conditional_logits_nats_per_image']:.1f}")


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
