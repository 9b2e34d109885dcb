"""`train.py`: where a run goes, with which settings, and what it leaves."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, run_here, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands import train as commands_train
from pcnn_keras.commands.datasets import data_dir, remember
from pcnn_keras.commands.train import choose_output, claim
from pcnn_keras.config import Config
from pcnn_keras.data.sources import load_model_images
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.evaluation.visible import load_bound
from pcnn_keras.quiet import import_tensorflow


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
    assert np.isfinite(load_bound(model))
    advice = trained.stdout.strip().splitlines()[-1]
    assert advice == f"python {ROOT}/sample.py --model saved_models/digits --dataset digits"

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
    # every image with every mask, in that order
    np.testing.assert_array_equal(image[1::2], image[::2])
    np.testing.assert_array_equal(image[::2], load_model_images(config).test[[1, 0]])
    np.testing.assert_array_equal(mask[0::2, :, 0, 0], [[0, 0, 0, 1]] * 2)
    assert not mask[1::2].any()
    visible = np.broadcast_to(mask[:, None] == 1, samples.shape)
    np.testing.assert_array_equal(samples[visible], np.broadcast_to(image[:, None], samples.shape)[visible])
    assert samples.min() >= 0 and samples.max() <= 2
    assert (np.diff(found["log_likelihood"]) <= 0).all() and (found["log_likelihood"] < 0).all()
    for i, seed in enumerate((0, 0, 1, 1)):  # images 1 and 0, as they are asked for
        chosen = pcnn.inpaint(pcnn.load(model), image[i], mask[i], 3, seed=seed, candidates=5).ranked()
        np.testing.assert_array_equal(found["draw"][i], chosen.draw)
    np.testing.assert_array_equal(found["kept"], [[1, 1, 0]] * 4)


@pytest.fixture
def choose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda dataset="digits", output=None, resume=False: choose_output(
        Namespace(output=output, resume=resume), dataset)


def test_a_run_takes_the_first_free_folder_and_resumes_the_one_of_the_latest_checkpoint(choose):
    def begin(name, time):
        path = Path("saved_models", name, "checkpoint.npz")
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (time, time))

    Path("saved_models", "digits").mkdir(parents=True)  # as a model that ships: no run
    for name in ("digits-of-mine-9", "mnist-7"):
        begin(name, 9)
    with pytest.raises(InputError, match="no run of digits to resume"):
        choose(resume=True)
    for time, (expected, name) in enumerate((("digits-2", "digits-3"), ("digits-2", "digits-2"),
                                             ("digits-4", "digits-007"))):
        assert choose() == Path("saved_models", expected)
        begin(name, time)
        assert choose(resume=True) == Path("saved_models", name)
    assert choose("mnist") == Path("saved_models", "mnist")
    assert choose("emnist/letters") == Path("saved_models", "emnist", "letters")  # a set of TFDS that has several
    begin("emnist/letters", 9)
    assert choose("emnist/letters") == Path("saved_models", "emnist", "letters-2")
    assert choose("emnist/letters", resume=True) == Path("saved_models", "emnist", "letters")


def test_two_runs_that_start_together_take_two_folders(choose):
    flags = Namespace(output=None, resume=False)
    chosen = [choose() for _ in range(2)]
    assert [claim(flags, "digits", folder).name for folder in chosen] == ["digits", "digits-2"]


def test_an_empty_argument_is_not_the_folder_where_one_is():
    assert run_here("train.py", "--dataset", "digits", "--output", "") == (2, "", "train.py: an argument is empty\n")


def test_a_given_folder_is_taken_as_it_is(choose):
    for resume in (False, True):
        assert choose(None, Path("elsewhere"), resume) == Path("elsewhere")
    with pytest.raises(InputError, match="--output"):
        choose(None, resume=True)


@pytest.fixture
def trained_with(monkeypatch, tmp_path):
    """The `Config`, levels and model to start from that a command line would train with."""
    class Begins(Exception):
        pass

    def begin(config, images, output, initial=None, **_):
        raise Begins(config, images, initial)

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
    config, *_ = trained_with("--dataset digits --preset paper-mnist --depth 2 --prior-depth 1 --masks none bottom:2")
    assert config == Config.preset("paper-mnist").replace(
        dataset="digits", height=8, width=8, prior_depth=1, conditioning_depth=2, masks=("none", "bottom:2"))
    other = digits.replace(height=6, width=6, filters=5, merge="weighted", num_levels=3)
    other.save(tmp_path / "a run's config.json".replace(" ", "_"))
    config, images, initial = trained_with("--config a_run's_config.json --filters 7")
    assert config == other.replace(filters=7) and initial is None
    assert images.train.shape[1:] == (6, 6, 1) and images.train.max() == 2
    assert trained_with("--config a_run's_config.json --size 4")[0] == other.replace(height=4, width=4)
    large, *_ = trained_with("--config a_run's_config.json --merge blocks --size 8 --slices 4")
    assert (large.height, large.slices) == (8, 4)
    trained = save_model(pcnn.build_model(other), tmp_path / "trained")
    config, _, initial = trained_with("--weights trained --alpha 0.1")
    assert config == other.replace(alpha=0.1)
    for one, another in zip(trained.get_weights(), initial.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_another_set_gets_what_of_the_mnist_preset_fits(trained_with, tmp_path):
    for i in range(11):
        Image.new("L", (6, 6), 20 * i).save(tmp_path / f"{i}.png")
    preset = Config.preset("mnist")
    config, *_ = trained_with("--dataset folder --data-dir . --output ../run")
    masks = tuple(spec for spec in preset.masks if spec not in ("bottom:7", "left:14"))
    assert 0 < len(masks) < len(preset.masks)
    assert config == preset.replace(dataset="folder", height=6, width=6, masks=masks)


def test_colour_gets_its_levels_with_a_preset_for_grey_images_too(trained_with, tmp_path):
    for i in range(11):
        Image.new("RGB", (6, 6), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    for more, num_levels in (("", 32), ("--num-levels 4", 4), ("--grayscale", 2)):
        config, *_ = trained_with(f"--dataset folder --data-dir . --output ../run --preset mnist {more}")
        assert config.num_levels == num_levels


def test_what_may_be_unexpected_is_said_before_training(trained_with, tmp_path, capsys):
    for i in range(11):
        Image.new("L", (6, 6), 20 * i).save(tmp_path / f"{i}.png")
    for flags, grey, judges in (("", True, False), ("--masks none left:2", True, True),
                                ("--num-levels 4 --masks none blobs", False, False)):
        trained_with(f"--dataset folder --data-dir . --output ../run {flags}")
        out = capsys.readouterr().out
        assert tf.config.experimental.tensor_float_32_execution_enabled()  # a matter of training's own speed
        assert not import_tensorflow().config.experimental.tensor_float_32_execution_enabled()
        assert (("black and white" in out), ("blob masks" in out)) == (grey, judges)


def test_how_much_of_a_mask_file_is_visible_is_said_before_training(trained_with, tmp_path, capsys):
    for i in range(11):
        Image.new("L", (6, 6), 20 * i).save(tmp_path / f"{i}.png")
    (tmp_path / ".masks").mkdir()
    Image.fromarray(np.eye(6, dtype=np.uint8) * 255).save(tmp_path / ".masks" / "a.png")
    trained_with("--dataset folder --data-dir . --output ../run --masks blobs .masks/a.png")
    assert "Mask files: 17% to 17% of each is white, which is visible." in capsys.readouterr().out


def test_masks_of_training_are_no_images_of_it(call_here, tmp_path):
    Image.new("L", (6, 6)).save(tmp_path / "mask.png")
    code, _, errors = call_here("train.py --dataset folder --data-dir . --output ../run --masks mask.png")
    assert code == 2 and "Mask mask.png lies in --data-dir" in errors and errors.count("\n") == 1


def test_ctrl_c_after_training_says_where_the_model_is_and_how_to_go_on(call_here, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pcnn_keras.training.train.train", lambda *_, **__: None)
    monkeypatch.setattr(commands_train, "finish", stop)
    code, _, errors = call_here("train.py --dataset digits --output run")
    assert code == 1 and errors == (
        "train.py: The trained model is in run, but its visible.json and its export are not all there. "
        f"To make them: python {ROOT}/train.py --output run --resume\n")


@pytest.mark.full
def test_a_run_remembers_where_its_images_are(call_here, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(20):
        Image.new("L", (4, 4), 10 * i).save(tmp_path / "photos" / f"{i}.png")
    small = "--epochs 1 --steps-per-epoch 1 --batch-size 2 --filters 4 --depth 1 --conditioner residual"
    code, _, errors = call_here(f"train.py --dataset folder --data-dir photos --output run {small} --attention-heads 0")
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


def test_a_run_that_stops_says_how_to_go_on(call_here, monkeypatch):
    def stop(*_, **__):
        raise Stopped("Stopped at step 2.", "--learning-rate 0.001")

    monkeypatch.setattr("pcnn_keras.training.train.train", stop)
    code, _, errors = call_here("train.py --dataset digits --output run --bfloat16")
    assert code == 1 and errors.endswith("--output run --resume --bfloat16 --learning-rate 0.001\n")


def test_a_run_remembers_its_images_for_its_own_set_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remember(tmp_path, "photos")
    for dataset, given, expected in ((None, None, str(tmp_path / "photos")), ("other", None, None), (None, "x", "x")):
        flags = Namespace(model=tmp_path, dataset=dataset, data_dir=given)
        assert data_dir(Config(dataset="folder"), flags) == expected


def test_what_is_found_of_a_trained_model_is_of_full_precision(call_here, monkeypatch):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []
    monkeypatch.setattr("pcnn_keras.training.train.train", lambda *_, **__: seen.append(enabled()))
    monkeypatch.setattr(commands_train, "finish", lambda *_: seen.append(enabled()))
    assert call_here("train.py --dataset digits --output run").returncode == 0
    assert seen == [True, False]
