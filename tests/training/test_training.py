"""A run is kept, can be interrupted anywhere, and goes on as if it had not been."""

import json
import os
import resource
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CONFIG, IMAGES, KILLED, ROOT, SMALLER, STEPS, enlarge, history

import pcnn_keras as pcnn
from pcnn_keras.config import Config
from pcnn_keras.data import pipeline
from pcnn_keras.data.pipeline import held_out_masks
from pcnn_keras.errors import InputError
from pcnn_keras.files import CHECKPOINT, locked
from pcnn_keras.network.model import build_model
from pcnn_keras.training.history import JUDGED_BY
from pcnn_keras.training.run import Keeping
from pcnn_keras.training.run_files import RunFiles
from pcnn_keras.training.train import _start_from

PICTURES = ("curves.png", "completions.png")


def weights(folder, name):
    return keras.saving.load_model(folder / name, compile=False).get_weights()


def resume(config, images, folder):
    """Goes on with a run, without pictures, which take longest."""
    return pcnn.train(config, images, folder, resume=True, keeping=Keeping(pictures=False))


def test_a_run_leaves_all_that_is_promised(run):
    for name in ("config.json", "model.keras", "last.keras", "history.csv", CHECKPOINT, *PICTURES):
        assert (run / name).stat().st_size > 0
    assert any((run / "tensorboard").rglob("events.*"))
    assert not list(run.glob(".*")), "something written aside was left behind"
    assert json.loads((run / "config.json").read_text()) == {**CONFIG.to_dict(), "version": pcnn.__version__}
    assert pcnn.load(run).config == CONFIG


def test_history_has_a_row_an_epoch_for_both_heads_and_both_splits(run):
    rows = history(run)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, STEPS), (2, 2 * STEPS)]
    for split in ("", "val_"):
        for head in ("logits", "conditional_logits"):
            for metric in ("nats_per_image", "nats_per_hidden_pixel"):
                assert all(row[f"{split}{head}_{metric}"] > 0 for row in rows)


def test_the_held_out_likelihood_rises_and_is_what_log_likelihood_says(run):
    nats = [row["val_logits_nats_per_image"] for row in history(run)]
    masks = held_out_masks(len(IMAGES.validation), CONFIG)
    uniform = (masks == 0).sum(axis=(1, 2, 3)).mean() * np.log(CONFIG.num_levels)
    assert nats[-1] < nats[0] < 0.5 * uniform
    for name, expected in (("model.keras", min(nats)), ("last.keras", nats[-1])):
        model = keras.saving.load_model(run / name, compile=False)
        found = -pcnn.log_likelihood(model, IMAGES.validation, masks).mean()
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_weights_of_the_best_epoch_are_kept_beside_the_last(new_run):
    run, _, model = new_run
    files, kept = RunFiles(run, IMAGES.validation, pictures=False), []
    files.set_model(model)
    for epoch, nats in enumerate((3.0, 4.0, 2.0)):
        kept.append(enlarge(model, seed=epoch).get_weights())
        run.history.append({"epoch": epoch + 1, "step": epoch + 1, "seconds": 1.0, JUDGED_BY: nats})
        files.on_epoch_end(epoch)
        for name, expected in (("last.keras", kept[-1]), ("model.keras", kept[0 if epoch < 2 else 2])):
            for one, other in zip(weights(run.folder, name), expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("moment", [
    pytest.param(moment, marks=[pytest.mark.full] * (moment != "inside an epoch")) for moment in KILLED])
def test_a_run_that_was_killed_ends_as_an_uninterrupted_one(run, runs, tmp_path, moment):
    folder = shutil.copytree(runs / moment, tmp_path / "killed")
    resume(CONFIG, IMAGES, folder)
    for one, other in zip(history(folder), history(run), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    for name in ("last.keras", "model.keras"):
        for one, other in zip(weights(run, name), weights(folder, name)):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_finished_run_has_nothing_to_resume(run):
    before = (run / "history.csv").read_bytes()
    model = resume(CONFIG, IMAGES, run)
    assert (run / "history.csv").read_bytes() == before
    for one, other in zip(model.get_weights(), weights(run, "last.keras")):
        np.testing.assert_array_equal(one, other)


def mistake(*args, **kwargs):
    """The message that `train` refuses with."""
    with pytest.raises(InputError) as caught:
        pcnn.train(*args, **kwargs)
    return str(caught.value)


def test_a_finished_run_goes_on_for_more_epochs_with_another_alpha(run, tmp_path):
    folder, longer = shutil.copytree(run, tmp_path / "longer"), CONFIG.replace(epochs=CONFIG.epochs + 1, alpha=0.0)
    resume(longer, IMAGES, folder)
    assert history(folder)[:-1] == history(run)
    assert history(folder)[-1]["epoch"] == longer.epochs
    assert history(folder)[-1]["val_loss"] == pytest.approx(history(folder)[-1]["val_logits_loss"])  # alpha 0
    assert pcnn.load(folder).config == Config.load(folder / "config.json") == longer


def test_a_run_may_start_from_the_weights_of_another(run, tmp_path):
    config = CONFIG.replace(learning_rate=1e-9, epochs=1, steps_per_epoch=1, seed=CONFIG.seed + 1)
    model = pcnn.train(config, IMAGES, tmp_path / "run", initial=pcnn.load(run), keeping=Keeping(pictures=False))
    for before, after in zip(weights(run, "model.keras"), model.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
    with pytest.raises(InputError, match=f"another network: filters {config.filters}, merge blocks.$"):
        pcnn.train(config.replace(filters=5, merge="sum", batch_size=2), IMAGES, tmp_path / "other", initial=model)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("before, changes, afresh", [
    ("softmax", {"distribution": "logistics"}, True), ("softmax", {"num_levels": 9}, True),
    ("logistics", {"num_levels": 9}, False)])
def test_where_levels_are_said_in_another_way_only_the_last_layers_start_afresh(before, changes, afresh):
    config = CONFIG.replace(distribution=before)
    trained, model = build_model(config), build_model(config.replace(**changes, seed=config.seed + 1))
    _start_from(trained, model)
    first = {weight.path: weight.numpy() for weight in trained.weights}
    kernels = [weight for weight in model.weights if weight.path.endswith("kernel")]
    assert {weight.path for weight in kernels if not np.array_equal(weight, first[weight.path])} == {
        name for name in ("prior_output/kernel", "conditioning_output/kernel") if afresh}


def visible_columns(batch, height, width, seed):
    """Of each image one column, drawn at random."""
    column = tf.random.stateless_uniform((batch, 1, 1, 1), seed, 0, width, tf.int32)
    return tf.broadcast_to(tf.range(width)[:, None] == column, (batch, height, width, 1))


def test_a_function_draws_the_masks_and_its_name_is_kept(tmp_path):
    short, quick = SMALLER.replace(epochs=1, steps_per_epoch=2), Keeping(pictures=False)
    batches = pipeline.training_batches(IMAGES.train, short, 0, 2, masks=visible_columns)
    planes = [inputs["conditioning"][..., -1].numpy() for inputs, *_ in batches]
    assert all((mask.sum(axis=2) == 1).all() for mask in planes) and (planes[0] != planes[1]).any()

    trained = pcnn.train(short, IMAGES, tmp_path, masks=visible_columns, keeping=quick)
    named = Config.load(tmp_path / "config.json")
    assert named == pcnn.load(tmp_path).config == trained.config == short.replace(
        masks=(f"function:{__name__}.visible_columns",))
    assert pcnn.inpaint(trained, IMAGES.test[0], np.zeros((4, 5, 1), int), 2).samples.shape == (2, 4, 5, 1)

    message = mistake(named.replace(epochs=2), IMAGES, tmp_path, resume=True)
    assert "visible_columns" in message and "pcnn.train(masks=" in message
    pcnn.train(named.replace(epochs=2), IMAGES, tmp_path, resume=True, masks=visible_columns, keeping=quick)
    assert history(tmp_path)[-1]["step"] == 4


def test_masks_are_given_as_specifications_too(tmp_path):
    short = SMALLER.replace(epochs=1, steps_per_epoch=1)
    model = pcnn.train(short, IMAGES, tmp_path, masks=["none", "bottom:1"], keeping=Keeping(pictures=False))
    assert model.config == short.replace(masks=("none", "bottom:1"))


@pytest.mark.parametrize("masks", ["blobs", 5])
def test_masks_are_a_list_or_a_function(tmp_path, masks):
    assert "`masks` must be a list" in mistake(CONFIG, IMAGES, tmp_path / "run", masks=masks)


def test_a_function_that_gives_no_masks_is_a_mistake(tmp_path):
    def two(batch, height, width, seed):
        return tf.fill((batch, height, width, 1), 2)

    assert "`masks` must give a tensor (4, 4, 5, 1)" in mistake(CONFIG, IMAGES, tmp_path / "run", masks=two)
    assert not (tmp_path / "run").exists()


def test_a_run_cannot_end_before_it_has_got_to(run):
    assert f"{CONFIG.epochs - 1} epochs" in mistake(CONFIG.replace(epochs=CONFIG.epochs - 1), IMAGES, run, resume=True)


@pytest.mark.parametrize("name", ["seed", "filters", "conditioning_depth"])
def test_resuming_with_another_setting_names_it(run, name):
    before = getattr(CONFIG, name)
    message = mistake(CONFIG.replace(**{name: before + 5}), IMAGES, run, resume=True)
    assert f"`{name}` was {before}" in message and f"Received: {before + 5}" in message


def test_resuming_with_other_images_is_a_mistake(run):
    assert "images" in mistake(CONFIG, IMAGES._replace(train=1 - IMAGES.train), run, resume=True)
    assert "images" in mistake(CONFIG, IMAGES._replace(validation=1 - IMAGES.validation), run, resume=True)


def test_a_folder_that_holds_a_model_is_not_written(run):
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert "--resume" in mistake(CONFIG, IMAGES, run)
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_an_output_that_cannot_be_is_a_mistake(tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        assert str(output) in mistake(CONFIG, IMAGES, output)


def test_there_must_be_something_to_resume_and_something_to_learn_from(tmp_path):
    assert CHECKPOINT in mistake(CONFIG, IMAGES, tmp_path, resume=True)
    few = IMAGES._replace(train=IMAGES.train[:3])
    assert "batch" in mistake(CONFIG.replace(steps_per_epoch=0), few, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_callback_may_end_the_run_early(tmp_path, run):
    class Early(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True
            with np.load(tmp_path / CHECKPOINT) as file:
                assert json.loads(str(file["run"]))["step"] == 0, "what callbacks change is kept, too"

    pcnn.train(CONFIG, IMAGES, tmp_path, callbacks=[Early()], keeping=Keeping(pictures=False))
    assert history(tmp_path) == history(run)[:1]
    assert not any((tmp_path / name).exists() for name in PICTURES)


@pytest.mark.parametrize("limit, steps", [
    pytest.param("max_epochs", [5], marks=pytest.mark.full), ("max_steps_per_epoch", [1, 2])])
def test_a_run_ends_where_keras_has_a_limit_of_its_own(tmp_path, request, limit, steps):
    limit_to = getattr(keras.config, f"set_{limit}")
    limit_to(1)
    request.addfinalizer(lambda: limit_to(None))
    pcnn.train(SMALLER, IMAGES, tmp_path, keeping=Keeping(pictures=False))
    assert [row["step"] for row in history(tmp_path)] == steps


def test_images_must_fit_the_settings(tmp_path):
    assert "shape (7, 5, 1)" in mistake(CONFIG.replace(height=7), IMAGES, tmp_path)
    for wrong, said in (
            (None, "shape (4, 5, 1)"), (np.uint8(1), "shape (4, 5, 1)"), ([], "shape (4, 5, 1)"),
            (IMAGES.train + 5, "levels from 0 to 1"), (IMAGES.train.astype(int) - 1, "levels from 0 to 1"),
            (IMAGES.train / 2, "whole numbers"),  # bytes as shares are no levels
            (IMAGES.train.tolist(), "whole numbers"), (IMAGES.train[:0], "whole numbers")):
        assert said in mistake(CONFIG, IMAGES._replace(train=wrong), tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_write_one_folder_at_once(tmp_path):
    with locked(tmp_path):
        with pytest.raises(pcnn.InputError, match=f"being written by another run, process {os.getpid()}"):
            pcnn.train(CONFIG, IMAGES, tmp_path)
        assert not list(tmp_path.iterdir())
    with locked(tmp_path):  # free again, and nothing is left of it
        assert not list(tmp_path.iterdir())


def test_a_lock_ends_with_its_process(tmp_path):
    code = "import sys; from pcnn_keras.files import locked; lock = locked(sys.argv[1]); lock.__enter__(); " \
           "print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as holder:
        holder.stdout.readline()
        with pytest.raises(pcnn.InputError, match=f"process {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        pass


def test_a_limit_on_files_is_foreseen(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda what: (20 * 1024, 20 * 1024))
    with pytest.raises(pcnn.InputError, match="ulimit -f"):
        pcnn.train(CONFIG, IMAGES, tmp_path / "run")
    assert not (tmp_path / "run").exists()
