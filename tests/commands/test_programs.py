"""What all programs have in common: one command, models by name, progress, memory that runs out."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands.outcome import calling, run
from pcnn_keras.commands.pcnn import COMMANDS
from pcnn_keras.commands.progress import Progress
from pcnn_keras.network.model import build_model


def test_without_an_image_the_examples_with_the_model_are_completed(call_here, tmp_path):
    save_model(build_model(TINY.replace(dataset="digits")), tmp_path)
    (tmp_path / "examples").mkdir()
    for name, value in (("b", 255), ("a", 0)):
        Image.new("L", (5, 4), value).save(tmp_path / "examples" / f"{name}.png")
    code, out, errors = call_here("sample.py --model . --num-samples 2")
    assert (code, errors) == (0, ""), out
    with np.load(tmp_path / "samples" / "samples.npz") as file:
        np.testing.assert_array_equal(file["image"], np.broadcast_to([0, 1], (4, 5, 1, 2)).transpose(3, 0, 1, 2))


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM\n")])
def test_memory_that_runs_out_is_said_in_one_line(capsys, error):
    def too_much():
        raise error

    with pytest.raises(SystemExit) as exited:
        run(too_much)
    assert exited.value.code == 2
    said = capsys.readouterr().err
    assert "not enough memory" in said and said.count("\n") == 1


def test_progress_is_shown_once_a_second_has_passed(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress("Drawing") as progress:
        progress(0.1)
        assert capsys.readouterr().out == ""
        for now[0] in (1.0, 1.1, 12.0):
            progress(now[0] / 20)
    assert capsys.readouterr().out.splitlines() == ["Drawing: 5%", "Drawing: 60%"]
    with Progress("Drawing", images=3_000) as progress:
        for now[0], share in ((13.0, 0), (24.0, 0.01), (36.0, 1)):
            progress(share)
    assert capsys.readouterr().out.splitlines() == [
        "Drawing: 0%", "Drawing: 1%, 2.5 images a second", "Drawing: 100%, 120 images a second"]


def run_commands(prefix, tmp_path, *commands):
    """Calls of one program, in a process each: exit code, output and errors."""
    calls = (subprocess.run([*prefix, *command.split()], cwd=tmp_path, capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=200) for command in commands)
    return [(done.returncode, done.stdout, done.stderr) for done in calls]


def test_one_command_has_all_programs(tmp_path):
    package = [sys.executable, "-m", "pcnn_keras"]
    version, usage, wrong, flag, none, *helps = run_commands(
        package, tmp_path, "--version", "--help", "no-such", "train --no-such-flag", "",
        *(f"{name} --help" for name in COMMANDS))
    assert version == (0, f"pcnn_keras {pcnn.__version__}\n", "")
    assert all(name in usage[1] and (code, errors) == (0, "") and f"usage: python -m pcnn_keras {name} " in out
               for name, (code, out, errors) in zip(COMMANDS, helps))
    assert flag == (2, "", "python -m pcnn_keras train: unrecognized arguments: --no-such-flag\n")
    for code, out, errors in (wrong, none):
        assert (code, out, errors.count("\n")) == (2, "", 1) and errors.startswith("python -m pcnn_keras: ")


def test_what_is_to_be_called_next_is_called_as_this_was(monkeypatch):
    for called, expected in (("train.py", "python sample.py"), ("/a folder/train.py", "python /a folder/sample.py"),
                             ("pcnn train", "pcnn sample"),
                             ("python -m pcnn_keras train", "python -m pcnn_keras sample")):
        monkeypatch.setattr(sys, "argv", [called])
        assert " ".join(calling("sample")) == expected


def test_an_export_goes_into_the_model_s_folder_and_that_of_a_name_to_where_one_is(call_here, tmp_path, monkeypatch):
    monkeypatch.setattr("pcnn_keras.export.signatures.export", lambda model, folder: folder)
    for name, expected in (("digits", "serving/digits"), ("saved_models/digits", "serving/digits"),
                           (ROOT / "saved_models" / "digits", ROOT / "saved_models" / "digits" / "serving")):
        code, out, errors = call_here(f"pcnn_keras/export/__main__.py --model {name}")
        assert (code, out, errors) == (0, f"Wrote {expected}.\n", "")
    monkeypatch.setattr("pcnn_keras.hub.download", lambda address: ROOT / "saved_models" / "digits")
    assert "serving/tiny." in call_here("pcnn_keras/export/__main__.py --model hf://me/tiny@a/branch").stdout
    save_model(pcnn.build_model(TINY), tmp_path / "digits")
    assert "digits/serving." in call_here("pcnn_keras/export/__main__.py --model digits").stdout
    assert call_here("pcnn_keras/export/__main__.py --model digits --output out").stdout == "Wrote out.\n"


@pytest.mark.parametrize("command", ["classifier.py --force", "classifier.py", "evaluate.py --bound"])
def test_the_folder_of_a_model_that_is_named_stays_as_it_is(call_here, command, monkeypatch):
    for work in ("classifier.train_classifier", "visible.save_bound"):
        monkeypatch.setattr(f"pcnn_keras.evaluation.{work}", lambda *_: 1 / 0)
    code, out, errors = call_here(f"pcnn_keras/{command} --model digits")
    assert (code, out, errors.count("\n")) == (2, "", 1) and "copy that" in errors
