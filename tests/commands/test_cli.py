"""The command line as a user meets it: `train.py` and `sample.py` in processes of their own."""

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY, Done, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands import train as commands_train
from pcnn_keras.commands.outcome import calling, run
from pcnn_keras.commands.pcnn import COMMANDS
from pcnn_keras.commands.progress import Progress
from pcnn_keras.commands.train import choose_output, claim
from pcnn_keras.config import Config, settings
from pcnn_keras.errors import InputError
from pcnn_keras.evaluation.figures import draw_figures
from pcnn_keras.network.model import build_model

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
pcnn_keras/evaluate.py --model untrained --limit 1
pcnn_keras/evaluate.py --model untrained --num-samples 1
pcnn_keras/evaluate.py --model untrained --json missing/figures.json
pcnn_keras/evaluate.py --model untrained --json /dev/null
pcnn_keras/evaluate.py --model untrained --json figures.json --bound
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


def test_training_and_then_sampling_leave_what_the_interface_promises(call_here, tmp_path):
    """Train, then sample, in small; TensorFlow's start-up log stays away."""
    flags = ("--dataset digits --epochs 1 --steps-per-epoch 3 --batch-size 8 --filters 4 --depth 1 --num-levels 3 "
             "--size 4 --seed 5").split()
    trained = subprocess.run([sys.executable, ROOT / "train.py", *flags], cwd=tmp_path, capture_output=True, text=True,
                             timeout=200)
    assert (trained.returncode, trained.stderr) == (0, "")
    model = tmp_path / "saved_models" / "digits"
    config = Config.load(model / "config.json")
    assert config == Config.preset("digits").replace(
        height=4, width=4, epochs=1, steps_per_epoch=3, batch_size=8, filters=4, prior_depth=1, conditioning_depth=1,
        num_levels=3, seed=5)
    assert (model / "serving" / "1" / "saved_model.pb").is_file()
    advice = trained.stdout.strip().splitlines()[-1]
    assert advice == "python sample.py --model saved_models/digits --dataset digits"

    code, _, errors = call_here(advice.removeprefix("python ")
                                + " --num-samples 3 --candidates 5 --mask bottom:1 none --index 1 0 --keep-best 2"
                                + " --progression")
    assert (code, errors) == (0, "")
    for name in ("grid.png", "progression.png"):
        with Image.open(tmp_path / "samples" / name) as picture:
            picture.verify()
    with np.load(tmp_path / "samples" / "samples.npz") as file:
        found = dict(file)
    shapes = {"image": (4, 4, 4, 1), "mask": (4, 4, 4, 1), "samples": (4, 3, 4, 4, 1), "log_likelihood": (4, 3),
              "draw": (4, 3), "kept": (4, 3)}
    assert {name: values.shape for name, values in found.items()} == shapes
    for name in ("image", "mask", "samples", "draw"):
        assert found[name].dtype == np.int32
    assert found["log_likelihood"].dtype == np.float32
    image, mask, samples = (found[name] for name in ("image", "mask", "samples"))
    np.testing.assert_array_equal(image[0], image[1])  # every image with every mask, in that order
    np.testing.assert_array_equal(image[2], image[3])
    assert (image[0] != image[2]).any()
    np.testing.assert_array_equal(mask[0::2, :, 0, 0], [[0, 0, 0, 1]] * 2)
    assert not mask[1::2].any()
    visible = np.broadcast_to(mask[:, None] == 1, samples.shape)
    np.testing.assert_array_equal(samples[visible], np.broadcast_to(image[:, None], samples.shape)[visible])
    assert samples.min() >= 0 and samples.max() <= 2
    assert (np.diff(found["log_likelihood"]) <= 0).all() and (found["log_likelihood"] < 0).all()
    assert all(len(set(row)) == 3 and 0 <= min(row) and max(row) < 5 for row in found["draw"])  # of five candidates
    np.testing.assert_array_equal(found["kept"], [[1, 1, 0]] * 4)


def test_without_an_image_the_examples_with_the_model_are_completed(call_here, tmp_path):
    save_model(build_model(TINY.replace(dataset="digits")), tmp_path)
    (tmp_path / "examples").mkdir()
    for name, value in (("b", 255), ("a", 0)):
        Image.new("L", (5, 4), value).save(tmp_path / "examples" / f"{name}.png")
    code, out, errors = call_here("sample.py --model . --num-samples 2")
    assert (code, errors) == (0, ""), out
    with np.load(tmp_path / "samples" / "samples.npz") as file:
        np.testing.assert_array_equal(file["image"], np.broadcast_to([0, 1], (4, 5, 1, 2)).transpose(3, 0, 1, 2))


def test_figures_are_all_drawn(tmp_path, tiny):
    images = np.random.default_rng(0).integers(0, 2, (4, 4, 5, 1))
    shares = []
    written = draw_figures(tiny, images, tmp_path, seed=1, progress=shares.append)
    assert [path.name.split("_")[0] for path in written] == [f"figure{i}" for i in range(4, 10)]
    for path in written:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    assert shares[-1] == 1


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM\n")])
def test_memory_that_runs_out_is_said_in_one_line(capsys, error):
    def too_much():
        raise error

    with pytest.raises(SystemExit) as exited:
        run(too_much)
    assert exited.value.code == 2
    assert capsys.readouterr().err.endswith(": there is not enough memory for that.\n")


def test_progress_is_shown_once_a_second_has_passed(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress("Drawing") as progress:
        progress(0.1)
        assert capsys.readouterr().out == ""
        for now[0] in (1.0, 1.1, 12.0):
            progress(now[0] / 20)
    assert capsys.readouterr().out.splitlines() == ["Drawing: 5%", "Drawing: 60%"]
    with Progress("Drawing", images=60) as progress:
        for now[0], share in ((13.0, 0), (24.0, 0.5)):
            progress(share)
    assert capsys.readouterr().out.splitlines() == ["Drawing: 0%", "Drawing: 50%, 2.5 images a second"]


@pytest.fixture
def choose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda dataset="digits", output=None, resume=False: choose_output(
        Namespace(output=output, resume=resume), dataset)


def test_a_run_takes_the_first_free_folder_and_resumes_the_last_used(choose):
    for name in ("digits", "digits-2", "digits-3"):
        with pytest.raises(InputError) if name == "digits" else open(os.devnull):
            choose(resume=True)
        assert choose() == Path("saved_models", name)
        Path("saved_models", name).mkdir(parents=True)
        assert choose(resume=True) == Path("saved_models", name)
    assert choose("mnist") == Path("saved_models", "mnist")


def test_two_runs_that_start_together_take_two_folders(choose):
    flags = Namespace(output=None, resume=False)
    chosen = [choose() for _ in range(2)]
    assert [claim(flags, "digits", folder).name for folder in chosen] == ["digits", "digits-2"]


def test_a_given_folder_is_taken_as_it_is(choose):
    for resume in (False, True):
        assert choose(None, Path("elsewhere"), resume) == Path("elsewhere")
    with pytest.raises(InputError, match="--output"):
        choose(None, resume=True)


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
    for called, expected in (("/a folder/train.py", "python sample.py"), ("pcnn train", "pcnn sample"),
                             ("python -m pcnn_keras train", "python -m pcnn_keras sample")):
        monkeypatch.setattr(sys, "argv", [called])
        assert " ".join(calling("sample")) == expected


@pytest.fixture
def trained_with(monkeypatch, tmp_path):
    """The `Config` and levels that a command line would train with."""
    class Begins(Exception):
        pass

    def begin(config, images, output, **_):
        raise Begins(config, images)

    def train_with(command):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["train.py", *command.split()])
        monkeypatch.setattr("pcnn_keras.training.train.train", begin)
        with pytest.raises(Begins) as caught:
            commands_train.main()
        return caught.value.args

    return train_with


def test_settings_are_the_preset_s_or_a_file_s_before_flags_change_them(trained_with, tmp_path):
    digits = Config.preset("digits")
    assert trained_with("--dataset digits")[0] == trained_with("--preset digits")[0] == digits
    config, _ = trained_with("--dataset digits --preset paper-mnist --depth 2 --prior-depth 1 --masks none bottom:2")
    assert config == Config.preset("paper-mnist").replace(
        dataset="digits", height=8, width=8, prior_depth=1, conditioning_depth=2, masks=("none", "bottom:2"))
    other = digits.replace(height=6, width=6, filters=5, merge="weighted", num_levels=3)
    other.save(tmp_path / "a run's config.json".replace(" ", "_"))
    config, images = trained_with("--config a_run's_config.json --filters 7")
    assert config == other.replace(filters=7)
    assert images.train.shape[1:] == (6, 6, 1) and images.train.max() == 2
    assert trained_with("--config a_run's_config.json --size 4")[0] == other.replace(height=4, width=4)
    large, _ = trained_with("--config a_run's_config.json --merge blocks --size 8 --slices 4")
    assert (large.height, large.slices) == (8, 4)
    save_model(pcnn.build_model(other), tmp_path / "trained")
    assert trained_with("--weights trained --alpha 0.1")[0] == other.replace(alpha=0.1)


def test_another_set_gets_what_of_the_mnist_preset_fits(trained_with, tmp_path):
    for i in range(11):
        Image.new("L", (6, 6), 20 * i).save(tmp_path / f"{i}.png")
    preset = Config.preset("mnist")
    config, _ = trained_with("--dataset folder --data-dir . --output ../run")
    masks = tuple(spec for spec in preset.masks if spec not in ("bottom:7", "left:14"))
    assert 0 < len(masks) < len(preset.masks)
    assert config == preset.replace(dataset="folder", height=6, width=6, masks=masks)


def test_colour_gets_its_levels_with_a_preset_for_grey_images_too(trained_with, tmp_path):
    for i in range(11):
        Image.new("RGB", (6, 6), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    for more, num_levels in (("", 32), ("--num-levels 4", 4), ("--grayscale", 2)):
        config, _ = trained_with(f"--dataset folder --data-dir . --output ../run --preset mnist {more}")
        assert config.num_levels == num_levels


def test_ctrl_c_after_training_says_where_the_model_is_and_how_to_go_on(call_here, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pcnn_keras.training.train.train", lambda *_, **__: None)
    monkeypatch.setattr(commands_train, "finish", stop)
    code, _, errors = call_here("train.py --dataset digits --output run")
    assert code == 1 and errors == (
        "train.py: The trained model is in run, but its visible.json and its export are not all there. "
        "To make them: python train.py --output run --resume\n")


@pytest.mark.full
def test_a_run_remembers_where_its_images_are(call_here, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(20):
        Image.new("L", (4, 4), 10 * i).save(tmp_path / "photos" / f"{i}.png")
    small = "--epochs 1 --steps-per-epoch 1 --batch-size 2 --filters 4 --depth 1 --conditioner residual"
    code, _, errors = call_here(f"train.py --dataset folder --data-dir photos --output run {small}")
    assert (code, errors) == (0, "")
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"data_dir": str(tmp_path / "photos")}
    assert str(tmp_path) not in (tmp_path / "run" / "config.json").read_text()
    code, _, errors = call_here("train.py --output run --resume --epochs 2")
    assert (code, errors) == (0, "")
    assert {path.name for path in (tmp_path / "run" / "serving").iterdir()} == {"1", "2"}
    for named in ("", " --dataset folder"):
        code, out, errors = call_here(f"sample.py --model run --index 1 --num-samples 1{named}")
        assert (code, errors) == (0, "") and "folder 1" in out
    (tmp_path / "run" / "run.json").write_text("{")
    code, _, errors = call_here("train.py --output run --resume --epochs 3")
    assert code == 2 and "run.json" in errors and "--data-dir" in errors


def test_a_classifier_is_not_replaced_unless_that_is_asked_for(call_here, folders, tmp_path):
    (tmp_path / "untrained" / "classifier.keras").touch()
    for more, said in (("", "--force"), (" --force", "no classes")):
        code, _, errors = call_here(f"pcnn_keras/classifier.py --model untrained --dataset folder{more}")
        assert code == 2 and said in errors


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


def test_every_setting_with_a_flag_has_it(tmp_path):
    usage = call_without_tensorflow(tmp_path, ["train.py --help"])["train.py --help"].stdout
    for name, _, declared in settings():
        flag = f"--{name.replace('_', '-')}" if declared.flag is None else declared.flag
        assert flag in usage and (not flag or declared.help)
    assert {name: declared.flag for name, _, declared in settings() if declared.flag} == {
        "max_num_blobs": "--max-blobs", "iter_min": "--min-iters", "iter_max": "--max-iters"}
