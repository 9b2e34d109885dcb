"""Mistakes in flags, and in the files that they name: exit code 2 and one line, at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY, Done
from PIL import Image

from pcnn_keras.config import settings

IN_TURN = """
import contextlib, io, json, os, runpy, sys
root, said = sys.argv[1], {}
for line in sys.stdin:
    script, *flags = line.split()
    sys.argv = [os.path.join(root, script), *flags]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            said[line.strip()] = end.code, out.getvalue(), errors.getvalue()
        except Exception as error:
            said[line.strip()] = 1, out.getvalue(), repr(error)
print(json.dumps(said))
"""


def call_without_tensorflow(folder, commands):
    """`{command line: Done}`, in one process, in `folder`, where TensorFlow and Keras are stand-ins that fail."""
    stand_ins = folder / ".stand-ins"
    stand_ins.mkdir()
    for name in ("tensorflow", "keras"):
        (stand_ins / f"{name}.py").write_text("raise SystemExit('imported TensorFlow')")
    done = subprocess.run([sys.executable, "-c", IN_TURN, ROOT], input="\n".join(commands), cwd=folder,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (stand_ins, ROOT)))},
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return {command: Done(*said) for command, said in json.loads(done.stdout).items()}


@pytest.fixture
def folders(tmp_path):
    """What bad command lines meet: folders of runs that were cut short, and files that aren't what they seem."""
    make_folders(tmp_path)


def make_folders(tmp_path):
    for name in ("untrained", "trained", "damaged", "saved_models/digits"):
        (tmp_path / name).mkdir(parents=True)
    TINY.save(tmp_path / "untrained" / "config.json")
    (tmp_path / "damaged" / "config.json").write_text("{")
    (tmp_path / "trained" / "model.keras").touch()
    (tmp_path / "of_something_else").mkdir()
    (tmp_path / "of_something_else" / "config.json").write_text("{}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "history.csv").write_text("of something else")
    (tmp_path / "text.png").write_text("not an image")
    Image.new("L", (9, 9)).save(tmp_path / "square.png")


FLAG_MISTAKES = """
train.py
train.py --no-such-flag
train.py --dataset
train.py --dataset digits --epoch 3
train.py --dataset digits --epochs 0
train.py --dataset digits --epochs 1.5
train.py --dataset digits --steps-per-epoch -1
train.py --dataset digits --batch-size 0
train.py --dataset digits --learning-rate nan
train.py --dataset digits --learning-rate 0
train.py --dataset digits --alpha -1
train.py --dataset digits --num-levels 257
train.py --dataset digits --size 0
train.py --dataset digits --filters 0
train.py --dataset digits --depth -1
train.py --dataset digits --kernel-size 4
train.py --dataset digits --min-iters 3 --max-iters 2
train.py --dataset digits --seed 9223372036854775808
train.py --dataset digits --loss-pixels some
train.py --dataset digits --masks upper:2
train.py --dataset digits --preset nothing
sample.py --model untrained --dataset digits --prepare digit
sample.py --model untrained --mask-hides
sample.py --model untrained --candidates 8 --temperature 0.5
sample.py --model untrained --mask bottom:1 --mask-hides
train.py --config damaged/config.json
train.py --config missing/config.json
train.py --dataset digits --preset mnist --config untrained/config.json
train.py --weights missing
train.py --weights damaged
train.py --dataset digits --weights=
train.py --dataset digits --output saved_models/digits surplus
train.py --resume
train.py --resume --dataset digits
train.py --resume --output missing
train.py --resume --output damaged
train.py --resume --output untrained
train.py --dataset digits --resume --output untrained
train.py --dataset folder
train.py --dataset folder --data-dir .
train.py --dataset folder --data-dir saved_models --output saved_models/digits/new
train.py --dataset celeba --data-dir . --output .
sample.py --model missing
sample.py --model damaged
sample.py --model untrained --no-such-flag
sample.py --model untrained --image square.png --dataset digits
sample.py --model untrained --image square.png --data-dir .
sample.py --model untrained --data-dir . --prepare none
sample.py --model untrained --image
sample.py --model untrained --index -1
sample.py --model untrained --num-samples 0
sample.py --model untrained --temperature -1
sample.py --model untrained --seed 9223372036854775808
sample.py --model untrained --keep-best 0
sample.py --model untrained --candidates 7
sample.py --model untrained --min-log-likelihood nan
sample.py --model untrained --sampler guess
sample.py --model untrained --mask
sample.py --model untrained --mask bottom:99
sample.py --model untrained --mask bottom:2 upper:2
sample.py --model untrained --mask random:nan
sample.py --model untrained --mask missing.png
sample.py --model untrained --mask text.png
sample.py --model untrained --mask square.png
""".strip().splitlines()
FILE_MISTAKES = """
train.py --dataset folder --data-dir missing
train.py --dataset folder --data-dir untrained
train.py --dataset no_such_set
train.py --dataset no-such-set
train.py --dataset digits --batch-size 5000
train.py --dataset digits --output trained
train.py --dataset digits --output other
train.py --dataset digits --output damaged
train.py --dataset digits --output of_something_else
train.py --dataset digits --output text.png
train.py --dataset digits --masks left:9
train.py --dataset digits --output text.png/below
sample.py --model untrained --image missing.png
sample.py --model untrained --image text.png
sample.py --model untrained --image square.png
sample.py --model untrained --dataset digits
sample.py --model untrained --dataset no-such-set
pcnn_keras/figures.py --model missing
pcnn_keras/figures.py --model untrained --dataset no-such-set
pcnn_keras/figures.py --model untrained --dataset digits
pcnn_keras/figures.py --no-such-flag
pcnn_keras/evaluate.py --model missing
pcnn_keras/evaluate.py --model=
pcnn_keras/evaluate.py --model untrained
pcnn_keras/classifier.py --model missing
pcnn_keras/classifier.py --model=--
pcnn_keras/classifier.py --model untrained --dataset folder --data-dir .
pcnn_keras/classifier.py --model untrained --epochs 0
""".strip().splitlines()


@pytest.fixture(scope="module")
def flag_mistakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    make_folders(folder)
    return call_without_tensorflow(folder, FLAG_MISTAKES)


@pytest.mark.parametrize("command", FLAG_MISTAKES)
def test_a_mistake_is_said_in_one_line_before_tensorflow_is_imported(flag_mistakes, command):
    done = flag_mistakes[command]
    assert (done.returncode, done.stdout) == (2, ""), done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(command.split()[0] + ": ")


@pytest.mark.parametrize("command", FILE_MISTAKES)
def test_a_mistake_in_what_files_hold_is_said_in_one_line_too(call_here, folders, tmp_path, command):
    before = sorted(tmp_path.rglob("*"))
    code, _, errors = call_here(command)
    assert code == 2
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith(Path(command.split()[0]).name + ": ")
    assert sorted(tmp_path.rglob("*")) == before, "something is left"


def test_the_message_says_what_was_expected_and_what_came(flag_mistakes):
    message = flag_mistakes["train.py --dataset digits --learning-rate nan"].stderr
    assert "learning-rate" in message and "number" in message and "nan" in message


@pytest.mark.parametrize("script", ["train.py", "sample.py"])
def test_help_is_no_mistake(tmp_path, script):
    command = f"{script} --help"
    done = call_without_tensorflow(tmp_path, [command])[command]
    assert (done.returncode, done.stderr) == (0, "")
    assert "--seed" in done.stdout


def test_a_classifier_is_not_replaced_unless_that_is_asked_for(call_here, folders, tmp_path):
    (tmp_path / "untrained" / "classifier.keras").touch()
    for more, said in (("", "--force"), (" --force", "no classes")):
        code, _, errors = call_here(f"pcnn_keras/classifier.py --model untrained --dataset folder{more}")
        assert code == 2 and said in errors


def test_every_setting_with_a_flag_has_it(tmp_path):
    usage = call_without_tensorflow(tmp_path, ["train.py --help"])["train.py --help"].stdout
    for name, _, declared in settings():
        flag = f"--{name.replace('_', '-')}" if declared.flag is None else declared.flag
        assert flag in usage and (not flag or declared.help)
    assert {name: declared.flag for name, _, declared in settings() if declared.flag} == {
        "max_num_blobs": "--max-blobs", "iter_min": "--min-iters", "iter_max": "--max-iters"}


@pytest.mark.parametrize("flags, said", [
    ("--limit 1", "--limit"), ("--num-samples 1", "--num-samples"), ("--json missing/a.json", "missing/a.json cannot"),
    ("--json /dev/null", "/dev/null cannot be written"), ("--json a.json --bound", "--bound measures nothing")])
def test_evaluate_says_what_is_wrong_before_it_loads_a_model(call_here, folders, flags, said):
    done = call_here(f"pcnn_keras/evaluate.py --model untrained {flags}")  # which has no model.keras
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
