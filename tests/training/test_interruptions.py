"""What ends training before its time leaves a run that goes on, and a line that says how."""

import json
import os
import resource
import runpy
import shlex
import shutil
import signal
import sys
from contextlib import ExitStack, contextmanager, nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CONFIG, IMAGES, ROOT, SMALLER, STEPS, history

import pcnn_keras as pcnn
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.files import CHECKPOINT, replacing, replacing_all
from pcnn_keras.training.interruptions import Signals, saying_what_is_kept
from pcnn_keras.training.precision import OPTIONS
from pcnn_keras.training.run import Diverged, Keeping
from pcnn_keras.training.run_files import check_space


class AtStep(keras.callbacks.Callback):
    """Has `action` called while a step is under way."""

    def __init__(self, step, action):
        super().__init__()
        self._left, self._action = step, action

    def on_train_batch_begin(self, batch, logs=None):
        self._left -= 1
        if self._left == 0:
            self._action()


@pytest.fixture(autouse=True)
def heeded():
    """No signal is ignored, as some are in what a shell runs in the background."""
    before = {number: signal.signal(number, signal.default_int_handler)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def signalling(step, number=signal.SIGINT):
    """The callbacks that raise a signal in a step."""
    return [AtStep(step, lambda: signal.raise_signal(number))]


def kept_step(folder):
    with np.load(folder / CHECKPOINT) as file:
        return json.loads(str(file["run"]))["step"]


def stop(*args, **kwargs):
    """The message, one line, that training stops with."""
    with pytest.raises(Stopped) as caught:
        pcnn.train(*args, keeping=Keeping(pictures=False), **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number, step", [
    (signal.SIGINT, 2),  # inside an epoch
    pytest.param(signal.SIGINT, STEPS, marks=pytest.mark.full),  # at its end
    pytest.param(signal.SIGTERM, 2, marks=pytest.mark.full),
    pytest.param(signal.SIGHUP, 2, marks=pytest.mark.full),
])
def test_a_signal_is_heeded_after_the_step_with_the_checkpoint_of_a_run_of_the_same_seed(tmp_path, runs, number, step):
    before = signal.getsignal(number)
    message = stop(CONFIG, IMAGES, tmp_path, callbacks=signalling(step, number))
    assert signal.getsignal(number) is before
    assert f"step {step}: interrupted" in message and f"up to step {step}" in message and str(tmp_path) in message
    expected = runs / ("inside an epoch" if step == 2 else "between epochs")
    assert kept_step(tmp_path) == kept_step(expected) == step
    with np.load(tmp_path / CHECKPOINT) as one, np.load(expected / CHECKPOINT) as other:
        assert one.files == other.files
        for name in set(one.files) - {"run"}:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-7)


def test_a_callback_that_ends_training_inside_an_epoch_leaves_a_checkpoint_of_the_step(tmp_path):
    ends = AtStep(2, lambda: setattr(ends.model, "stop_training", True))
    message = stop(SMALLER, IMAGES, tmp_path, callbacks=[ends])
    assert "step 2: interrupted" in message and f"{tmp_path} holds the run up to step 2" in message
    assert kept_step(tmp_path) == 2 and not (tmp_path / "history.csv").exists()
    with np.load(tmp_path / CHECKPOINT) as file:
        assert "metric/000" in file, "what the epoch has added up"


@pytest.mark.full
def test_a_second_signal_stops_at_once_with_the_checkpoint_before(tmp_path, run):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    assert "up to step 0" in stop(CONFIG, IMAGES, tmp_path, callbacks=[AtStep(3, twice)])
    assert kept_step(tmp_path) == 0
    pcnn.train(CONFIG, IMAGES, tmp_path, resume=True, keeping=Keeping(pictures=False))
    for one, other in zip(history(tmp_path), history(run), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_what_stops_a_run_before_anything_is_kept_says_so(new_run):
    run, checkpoint, _ = new_run
    for reason in (KeyboardInterrupt, ConnectionError("another machine was lost"), Diverged("the loss")):
        with pytest.raises(Stopped, match="at step 0: .*Nothing is kept yet") as caught:
            with saying_what_is_kept(run, checkpoint):
                raise reason
        assert caught.value.flags is None


def test_a_loss_that_is_no_number_stops_and_leaves_the_run_as_it_was_before_it(tmp_path):
    stop(SMALLER, IMAGES, tmp_path, callbacks=signalling(STEPS + 1))
    kept = {path: path.read_bytes() for path in map(tmp_path.joinpath, (CHECKPOINT, "last.keras", "history.csv"))}
    with pytest.raises(Stopped) as caught:
        pcnn.train(SMALLER.replace(learning_rate=1e30), IMAGES, tmp_path, resume=True, keeping=Keeping(pictures=False))
    message = str(caught.value)
    assert "not a finite number" in message and f"up to step {STEPS + 1}" in message
    assert int(message.split("step ")[1].split(":")[0]) > STEPS + 1
    assert caught.value.flags == "--learning-rate 5e+29"
    assert {path: path.read_bytes() for path in kept} == kept


@contextmanager
def files_of_at_most(size):
    """A disk on which files cannot grow beyond a size, for real."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_was_there(tmp_path):
    SMALLER.save(tmp_path / "config.json")
    (tmp_path / ".checkpoint.tmp1.npz").touch()  # of a run that was killed in its first checkpoint
    stop(SMALLER, IMAGES, tmp_path, callbacks=signalling(2))
    assert not list(tmp_path.glob(".*tmp*"))
    kept = (tmp_path / CHECKPOINT).read_bytes()
    before = sorted(path.name for path in tmp_path.iterdir())
    with ExitStack() as filling:  # after it has been foreseen that there is room
        full = AtStep(1, lambda: filling.enter_context(files_of_at_most(len(kept) // 2)))
        message = stop(SMALLER, IMAGES, tmp_path, resume=True, callbacks=[full])
    assert "cannot be written" in message and "up to step 2" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "something half-written is left"
    assert (tmp_path / CHECKPOINT).read_bytes() == kept


def test_a_disk_that_is_full_from_the_start_leaves_no_run(tmp_path):
    with files_of_at_most(1000), pytest.raises(InputError, match="cannot hold the run"):
        pcnn.train(CONFIG, IMAGES, tmp_path)
    assert not list(tmp_path.iterdir()), "the folder is no longer free"


@pytest.mark.parametrize("missing", [0, 1])
def test_too_little_space_is_foreseen(tmp_path, monkeypatch, missing, tiny):
    """Ten times the weights, and five megabytes, are needed."""
    free = 10 * sum(weight.numpy().nbytes for weight in tiny.weights) + 5_000_000 - missing
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free))
    with pytest.raises(InputError, match="too little space: the run needs about .* MB") if missing else nullcontext():
        check_space(tmp_path / "run", tiny)
    (tmp_path / "last.keras").write_bytes(b"0")  # a run that goes on has some of it already
    check_space(tmp_path, tiny)


def test_a_file_that_cannot_grow_is_said_by_the_one_who_writes(tmp_path):
    with files_of_at_most(1000), pytest.raises(InputError, match="cannot be written: File too large"):
        with replacing(tmp_path / "file") as aside:
            aside.write_bytes(b"0" * 5000)
    assert not list(tmp_path.iterdir())


def test_of_several_files_all_are_written_or_none(tmp_path):
    def write(*sizes):
        with replacing_all(tmp_path / "out") as aside:
            for name, size in enumerate(sizes):
                with replacing(aside / str(name)) as file:
                    file.write_bytes(b"0" * size)

    with files_of_at_most(1000), pytest.raises(InputError, match="out cannot be written: File too large"):
        write(5, 5000)
    assert not list(tmp_path.iterdir())
    write(5, 5000)
    with files_of_at_most(1000), pytest.raises(InputError, match="out cannot be written"):
        write(6, 5000)
    assert {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()} == {"0": 5, "1": 5000}
    with pytest.raises(InputError, match="^of another kind$"), replacing_all(tmp_path / "out"):
        raise InputError("of another kind")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
        assert not signals.came and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_whose_handler_is_not_python_s_stays_so(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(signal, "getsignal", lambda number: None)
        patched.setattr(signal, "signal", None)  # it could not be set back
        with Signals():
            pass


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for text in ("new", "newer"):
        with replacing(tmp_path / "link") as aside:
            aside.write_text(text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "file").read_text() == text
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(InputError, match=f"{name} cannot be written: it is no regular file"):
            with replacing(tmp_path / name):
                pytest.fail("it may be written")
    assert (tmp_path / "pipe").is_fifo()


def test_programs_that_write_one_file_do_not_meet(tmp_path):
    with replacing(tmp_path / "file.txt") as aside:
        assert str(os.getpid()) in aside.name and aside.suffix == ".txt"
        aside.touch()


@pytest.mark.full
def test_the_command_line_says_how_to_go_on(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", "train.py --dataset digits --epochs 1 --steps-per-epoch 3 --batch-size 8 "
                                     "--filters 4 --depth 0 --size 4 --bfloat16 --output".split() + ["a run"])
    monkeypatch.setattr("pcnn_keras.training.precision._processor", lambda: ["avx512_bf16"])
    train_whole = pcnn.train

    def train(*args, callbacks, **options):
        assert OPTIONS.items() <= tf.config.optimizer.get_experimental_options().items()
        return train_whole(*args, callbacks=[*callbacks, *signalling(2)], **options)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as exited:
        patch.setattr("pcnn_keras.training.train.train", train)
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    out, errors = capfd.readouterr()
    assert exited.value.code == 1
    assert errors == ("train.py: Stopped at step 2: interrupted. a run holds the run up to step 2. "
                      f"To go on: python {ROOT}/train.py --output 'a run' --resume --bfloat16\n")
    assert "Stopping after this step" in out
    monkeypatch.setattr(sys, "argv", shlex.split(errors.split("python ")[1]))
    with pytest.raises(SystemExit) as exited:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert not exited.value.code
    assert [row["step"] for row in history(tmp_path / "a run")] == [3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_is_the_caller_s_own(number):
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Signals() as signals:
            signal.raise_signal(number)
            assert signals.came
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
