"""Algorithm 1: its distribution, its seeds, and where it runs."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pcnn_keras as pcnn

ROOT = Path(__file__).parents[2]


def literal_blob_mask(height, width, max_num_blobs, iter_min, iter_max, rng):
    """Algorithm 1, read aloud: lists of positions, one coin for each neighbour of each entry."""
    mask = np.zeros((height, width), int)
    for _ in range(rng.randint(1, max_num_blobs)):
        positions = [(rng.randrange(height), rng.randrange(width))]
        mask[positions[0]] = 1
        for _ in range(rng.randint(iter_min, iter_max)):
            following = []
            for row, column in positions:
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        at = (row + down, column + right)
                        inside = 0 <= at[0] < height and 0 <= at[1] < width
                        if (down, right) != (0, 0) and inside and rng.random() < 0.5:
                            mask[at] = 1
                            following.append(at)
            positions = following
    return mask


def literal_masks(count, *arguments):
    rng = random.Random(1)
    return np.stack([literal_blob_mask(*arguments, rng) for _ in range(count)])


def masks(count, *arguments, seed=0):
    return np.asarray(pcnn.random_blob_masks(count, *arguments, seed=seed))[..., 0]


# Where a start expands twice, where blobs are one pixel, where the border is everywhere, and a run
# in which counts pass the `COINS` of a word by far.
CASES = [(7, 6, 4, 2, 4), (5, 9, 3, 0, 2), (3, 3, 1, 1, 3), (1, 8, 2, 2, 5), (12, 12, 1, 5, 6)]


@pytest.mark.parametrize("case", CASES)
def test_blobs_are_distributed_as_algorithm_1(case):
    """Visible share (its mean, spread and histogram), neighbours, and every pixel's frequency."""
    count = 600 if case[4] >= 5 and case[0] > 1 else 6000
    fast, slow = masks(20 * count, *case), literal_masks(count, *case)
    pixels = case[0] * case[1]

    def differ(a, b):
        """Largest distance between means, in standard errors."""
        error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b)) + 1e-9
        return np.abs((a.mean(0) - b.mean(0)) / error).max()

    sizes = [m.sum(axis=(1, 2)) for m in (fast, slow)]
    histograms = [np.eye(21)[size * 20 // pixels] for size in sizes]
    assert differ(sizes[0] * 1.0, sizes[1] * 1.0) < 4
    assert differ(sizes[0] ** 2.0, sizes[1] ** 2.0) < 4
    common = histograms[1].sum(0) >= 30
    assert differ(histograms[0][:, common], histograms[1][:, common]) < 4.5
    assert differ(fast * 1.0, slow * 1.0) < 4.5  # every pixel: the border included
    beside = [(m[:, :, 1:] & m[:, :, :-1]).sum(axis=(1, 2)) * 1.0 for m in (fast, slow)]
    assert differ(*beside) < 4


def test_many_iterations_stay_finite():
    assert masks(2, 5, 5, 4, 200, 200).all()


def test_both_ends_of_the_ranges_are_drawn():
    sizes = masks(2000, 20, 20, 3, 0, 1).sum(axis=(1, 2))
    assert sizes.min() == 1  # one blob of no iteration
    assert (masks(500, 20, 20, 3, 0, 0).sum(axis=(1, 2)) == 3).any()  # three blobs of one pixel
    assert masks(500, 1, 3, 1, 0, 0).sum(axis=0).min() > 0  # the last column too


def test_masks_repeat_with_the_seed_and_only_then():
    np.testing.assert_array_equal(masks(5, 9, 8, seed=3), masks(5, 9, 8, seed=3))
    assert (masks(5, 9, 8, seed=3) != masks(5, 9, 8, seed=4)).any()
    assert (masks(5, 9, 8, seed=2**40) != masks(5, 9, 8, seed=0)).any()
    first, second = masks(2, 9, 8)
    assert (first != second).any()


def test_shape_and_values():
    result = pcnn.random_blob_masks(3, 5, 4)
    assert result.shape == (3, 5, 4, 1) and result.dtype == "int32"
    assert set(np.unique(result)) <= {0, 1}


@pytest.mark.parametrize("change", [{"batch": 0}, {"height": 0}, {"width": -1}, {"max_num_blobs": 0}, {"iter_min": -1},
                                    {"iter_max": 1}, {"seed": -1}, {"seed": 2**63}])
def test_bad_numbers_are_input_errors(change):
    with pytest.raises(pcnn.InputError, match="Received"):
        pcnn.random_blob_masks(**{"batch": 2, "height": 5, "width": 5, **change})


def test_every_op_has_a_gpu_kernel():
    import tensorflow as tf
    from tensorflow.python.framework import kernels

    drawing = tf.function(lambda seed: pcnn.random_blob_masks(4, 8, 8, seed=seed))
    graph = drawing.get_concrete_function(tf.TensorSpec((2,), tf.int64)).graph

    def runs_on_gpu(op):
        """Whether there is a GPU kernel for the op with just its types."""
        return any(k.device_type in ("GPU", "DEFAULT") and all(
            op.get_attr(c.name).as_datatype_enum in c.allowed_values.list.type for c in k.constraint)
            for k in kernels.get_registered_kernels_for_op(op.type).kernel)

    without = {(op.type, op.outputs[0].dtype.name) for op in graph.get_operations()
               if op.type != "Placeholder" and not runs_on_gpu(op)}
    if len(without) > 20:
        pytest.skip("this TensorFlow was built without GPU kernels")
    assert not without


PLACED = """
import re, sys
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)
tf.debugging.set_log_device_placement(True)
import pcnn_keras as pcnn
from pcnn_keras.data.pipeline import training_batches
config = pcnn.Config(height=8, width=8, batch_size=4)
next(iter(training_batches(np.zeros((9, 8, 8, 1), np.uint8), config, 0, 1, mask_device=sys.argv[1])))
"""


@pytest.mark.full
@pytest.mark.parametrize("device", ["/CPU:0", "/CPU:1"])
def test_masks_are_drawn_on_the_device_that_is_asked_for(device):
    """Inside the running pipeline, on a second logical device as on the first."""
    run = subprocess.run([sys.executable, "-c", PLACED, device], cwd=ROOT, capture_output=True, text=True,
                         env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"})
    assert run.returncode == 0, run.stderr
    placed = re.findall(r"PopulationCount.*device:(CPU:\d)", run.stderr)
    assert placed and {"/" + name for name in placed} == {device}
