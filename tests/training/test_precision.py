from contextlib import contextmanager

import numpy as np
import pytest
import tensorflow as tf

from pcnn_keras.training import precision
from pcnn_keras.training.precision import INSTRUCTIONS, OPTIONS, bfloat16


def has_instructions():
    return any(INSTRUCTIONS & set(line.split()) for line in precision._processor())


@contextmanager
def options(values):
    """TensorFlow's, whatever other tests have set."""
    tf.config.optimizer.set_experimental_options(values)
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({**dict.fromkeys(OPTIONS, False), "disable_meta_optimizer": False})


def product():
    """Of values that bfloat16 rounds, in a graph of its own."""
    x = tf.fill((64, 64), 1 + 2**-12)
    return tf.function(tf.matmul)(x, x).numpy()


@pytest.mark.skipif(not has_instructions(), reason="a processor without bfloat16 instructions")
def test_graphs_multiply_in_bfloat16_meanwhile_and_not_after(capsys):
    with options({"disable_meta_optimizer": True}):  # as `sample.py` has it
        exact = product()
        with bfloat16():
            np.testing.assert_array_equal(product(), 64)
        np.testing.assert_array_equal(product(), exact)
    assert (exact > 64).all()
    assert capsys.readouterr().err == ""


def test_what_was_set_before_stays():
    before = dict.fromkeys(OPTIONS, True)
    with options(before):
        with pytest.raises(ZeroDivisionError), bfloat16():
            assert OPTIONS.items() <= tf.config.optimizer.get_experimental_options().items()
            _ = 1 / 0
        assert before.items() <= tf.config.optimizer.get_experimental_options().items()


def test_a_processor_without_the_instructions_is_named(monkeypatch, capsys):
    monkeypatch.setattr(precision, "_processor", lambda: ["flags : sse avx2"])
    with bfloat16():
        pass
    said = capsys.readouterr()
    assert said.out.count("\n") == 1 and not said.err
