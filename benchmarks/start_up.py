"""Seconds of `python sample.py` without flags, as a whole and part by part, and of what needs no TensorFlow.

`python benchmarks/start_up.py`: the whole is the median of three processes, `--help` and a flag error too. The parts
are taken once, in this process, as `sample.py` does them one after the other, with `--image` also the pass.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import MNIST, machine

ROOT = Path(__file__).parents[1]


def whole(*flags):
    """Seconds of a process."""
    def once():
        start = time.perf_counter()
        code = subprocess.run([sys.executable, ROOT / "sample.py", *flags], cwd=ROOT, capture_output=True).returncode
        taken = time.perf_counter() - start
        assert code == (2 if "--nope" in flags else 0), code
        return taken

    return statistics.median(once() for _ in range(3))


def parts():
    """Name and seconds of each part."""
    begun = time.perf_counter()

    def lap():
        nonlocal begun
        begun, before = time.perf_counter(), begun
        return begun - before

    from pcnn_keras.quiet import import_tensorflow

    import_tensorflow().config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield "TensorFlow and Keras are imported", lap()
    import pcnn_keras as pcnn
    from pcnn_keras.evaluation.classifier import classify, find_classifier
    from pcnn_keras.evaluation.visible import surprise

    yield "the package is imported", lap()
    model = pcnn.load(MNIST)
    yield "the model is built, its weights are read", lap()
    examples = sorted((MNIST / "examples").glob("*.png"))[:4]
    drawn = pcnn.inpaint(model, examples, "bottom:7", 8)
    yield "the sampler is traced and compiled, completions are drawn", lap()
    pcnn.inpaint(model, examples, "bottom:7", 8)
    yield "... of which drawing", lap()
    surprise(model, drawn.samples[:, 0], pcnn.parse_mask("bottom:7", 28, 28)(0)[None].repeat(len(examples), 0))
    yield "one pass of the prior, for the warning about given pictures", lap()
    classify(find_classifier(MNIST, model.config), drawn.samples, model.config.num_levels)
    yield "the classifier", lap()
    import pcnn_keras.plots  # noqa: F401

    yield "Matplotlib is imported", lap()


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()  # not a `Program`: importing TensorFlow is timed
    with tempfile.TemporaryDirectory() as folder:
        for name, flags in {"": ["--output", folder], " --help": ["--help"], " --nope": ["--nope"]}.items():
            print(f"sample.py{name}: {whole(*flags):.2f} s", flush=True)
    for name, seconds in parts():
        print(f"| {name} | {seconds:.1f} |", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
