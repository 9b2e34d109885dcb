"""The file that a run goes on from is whole, of that run, and of numbers; or it is refused."""

import time
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import CONFIG, IMAGES
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.errors import InputError
from pcnn_keras.files import CHECKPOINT
from pcnn_keras.training.checkpoint import Checkpoint, CheckpointKeeper
from pcnn_keras.training.compile import compile_model
from pcnn_keras.training.run import Diverged, Keeping, Run


def mistake(folder):
    """The message that going on with a run is refused with."""
    with pytest.raises(InputError) as caught:
        pcnn.train(CONFIG, IMAGES, folder, resume=True)
    return str(caught.value)


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: b"not a checkpoint", lambda content: content[: len(content) // 2],
    lambda content: content[:5000] + bytes([content[5000] ^ 255]) + content[5001:],
    lambda content: content.replace(b"), }", b"),( "),
], ids=["empty", "text", "cut", "changed", "headers"])
def test_a_damaged_checkpoint_is_a_mistake(run, tmp_path, damage):
    (tmp_path / CHECKPOINT).write_bytes(damage((run / CHECKPOINT).read_bytes()))
    assert CHECKPOINT in mistake(tmp_path)


def test_a_checkpoint_that_lacks_something_is_a_mistake(run, tmp_path):
    with np.load(run / CHECKPOINT) as file:
        arrays = dict(file)
    for lost in ("run", "model/000", "optimizer/000"):
        np.savez(tmp_path / CHECKPOINT, **{name: value for name, value in arrays.items() if name != lost})
        assert CHECKPOINT in mistake(tmp_path)
    np.savez(tmp_path / CHECKPOINT, **{**arrays, "model/000": arrays["model/000"][..., :1]})
    assert "other shapes" in mistake(tmp_path)
    for run_of in ("{}", "[]", "[" * 100_000):
        np.savez(tmp_path / CHECKPOINT, **{**arrays, "run": run_of})
        assert CHECKPOINT in mistake(tmp_path)


def test_a_save_that_dies_half_way_leaves_the_checkpoint_before_it(new_run, tmp_path, monkeypatch):
    run, checkpoint, model = new_run
    run.step = 7
    checkpoint.save(model)

    def die(file, **arrays):
        file.write(b"PK half of it")
        raise OSError("no space left on device")

    run.step = 8
    with monkeypatch.context() as patch, pytest.raises(InputError, match="no space left"):
        patch.setattr(np, "savez", die)
        checkpoint.save(model)
    again = Run(tmp_path, CONFIG)
    Checkpoint(again, IMAGES).restore(model)
    assert again.step == 7
    checkpoint.save(model)
    Checkpoint(again, IMAGES).restore(model)
    assert again.step == 8


def test_inside_an_epoch_a_checkpoint_is_kept_every_five_minutes(new_run, monkeypatch):
    _, checkpoint, model = new_run
    now, kept = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "save", lambda model, inside_epoch: kept.append(now[0]))
    keeper = CheckpointKeeper(checkpoint, Mock(came=None), Mock(any=bool), Keeping().seconds)
    keeper.set_model(model)
    keeper.set_params({"steps": 100})
    for batch in range(100):
        now[0] += 10
        keeper.on_train_batch_end(batch)
    assert kept == [300, 600, 900]


def test_a_constant_rate_may_change_on_the_way(tmp_path):
    for rate in (0.01, 0.002):
        config = CONFIG.replace(schedule="constant", learning_rate=rate)
        model, checkpoint = pcnn.build_model(config), Checkpoint(Run(tmp_path, config), IMAGES)
        compile_model(model, 10)
        model.optimizer.build(model.trainable_variables)
        if rate == 0.01:
            checkpoint.save(model)
    checkpoint.restore(model)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)


def test_a_mask_file_that_has_changed_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CONFIG.replace(masks=("blobs", "mask.png"))
    for grey in (255, 0):
        Image.new("L", (config.width, config.height), grey).save("mask.png")
        checkpoint, model = Checkpoint(Run(tmp_path, config), IMAGES), pcnn.build_model(config)
        compile_model(model, 10)
        if grey:
            checkpoint.save(model)
            checkpoint.restore(model)
    with pytest.raises(InputError, match="mask files that the run was started with"):
        checkpoint.restore(model)


def test_a_mask_file_that_has_moved_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    for path in ("mask.png", "elsewhere/mask.png", "other.png"):
        Image.new("L", (CONFIG.width, CONFIG.height), 255).save(path)
        config = CONFIG.replace(masks=("blobs", str(tmp_path / path) if "/" in path else path))
        checkpoint, model = Checkpoint(Run(tmp_path, config), IMAGES), pcnn.build_model(config)
        compile_model(model, 10)
        if path == "mask.png":
            checkpoint.save(model)
        if path != "other.png":
            checkpoint.restore(model)
    with pytest.raises(InputError, match="`masks` was"):
        checkpoint.restore(model)


def test_weights_that_are_no_numbers_are_never_kept(new_run):
    run, checkpoint, model = new_run
    checkpoint.save(model)
    weight = model.trainable_variables[3]
    weight.assign(np.full(weight.shape, np.nan))
    run.step = 1
    with pytest.raises(Diverged, match="a weight is not a finite number"):
        checkpoint.save(model)
    assert checkpoint.step == 0
    Checkpoint(run, IMAGES).restore(model)
    assert run.step == 0 and np.isfinite(weight.numpy()).all()


def test_a_process_that_does_not_write_keeps_the_count_alone(new_run, tmp_path):
    run, _, model = new_run
    checkpoint = Checkpoint(run, IMAGES, writes=False)
    checkpoint.save(model)
    assert checkpoint.step == 0 and not list(tmp_path.iterdir())


def test_at_the_last_step_of_an_epoch_the_checkpoint_waits_for_held_out_images(new_run, monkeypatch):
    _, checkpoint, model = new_run
    kept = []
    monkeypatch.setattr(checkpoint, "save", lambda model, inside_epoch: kept.append(inside_epoch))
    keeper = CheckpointKeeper(checkpoint, Mock(came=None), Mock(any=bool), seconds=0)
    keeper.set_model(model)
    keeper.set_params({"steps": 3})
    for batch in range(3):
        keeper.on_train_batch_end(batch)
    keeper.on_epoch_end(0)
    assert kept == [True, True, False]


def test_the_seconds_of_earlier_sittings_count(new_run, tmp_path, monkeypatch):
    run, checkpoint, model = new_run
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    run.go_on_from(0, [], 0)
    now[0] = 160
    checkpoint.save(model)
    now[0] = 1000
    again = Run(tmp_path, CONFIG)
    Checkpoint(again, IMAGES).restore(model)
    now[0] = 1005
    assert again.seconds == pytest.approx(65)
