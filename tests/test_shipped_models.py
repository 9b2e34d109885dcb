"""The models in saved_models/: complete, small, good at what they say."""

import json
import runpy
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, repository_files, save_model

import pcnn_keras as pcnn
from pcnn_keras.data.images import list_images

NATS = {"celeba": -18916.93, "faces64": -72424.15, "mnist": -450.529, "digits": -193.768}
"""Log-likelihood of the examples together, the bottom quarter visible: that of the weights that ship."""

FOLDERS = [ROOT / "saved_models" / name for name in NATS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_ships_with_all_that_belongs_to_it(folder):
    files = [path for path in repository_files() if path.is_relative_to(folder)]
    names = {path.relative_to(folder).parts[0] for path in files}
    kinds = {"model.keras", "config.json", "history.csv", "curves.png", "evaluation.json", "visible.json", "README.md",
             "examples"}
    if folder.name in ("celeba", "faces64"):
        assert names == kinds  # faces have no classes, and no picture may show one of the data set's
    else:
        assert names >= kinds | {"classifier.keras", "completions.png"}
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_weights_are_those_that_its_examples_are_likely_with(folder):
    model = pcnn.load(folder)
    nats = pcnn.log_likelihood(model, list_images(folder / "examples"), model.config.bottom)
    assert nats.sum() == pytest.approx(NATS[folder.name], rel=1e-3)


def test_pages_have_the_figure_of_the_evaluation_that_was_asked_for():
    result = json.loads((ROOT / "saved_models" / "mnist" / "evaluation.json").read_text())
    nats = result["masks"]["blobs"]["sum_nats_per_image"]["mean"]
    assert result["images"] == 1000 and nats <= 49
    for page in ("README.md", "docs/results.md", "saved_models/README.md", "saved_models/mnist/README.md"):
        assert f"{nats:.1f}" in (ROOT / page).read_text(encoding="utf-8"), page


def test_sample_with_no_flag(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "sample.py", "--output", tmp_path], cwd=ROOT, capture_output=True,
                          text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "samples.npz") as saved:
        assert saved["samples"].shape == (4, 8, 28, 28, 1) and (np.diff(saved["log_likelihood"]) <= 0).all()


def test_a_packed_model_loads_with_its_weights_rounded(tiny, tmp_path, monkeypatch):
    save_model(tiny, tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["pack.py", *(str(tmp_path / name / "model.keras") for name in ("run", "packed"))])
    runpy.run_path(str(ROOT / "saved_models" / "pack.py"), run_name="__main__")
    tiny.config.save(tmp_path / "packed" / "config.json")
    for rounded, weight in zip(pcnn.load(tmp_path / "packed").get_weights(), tiny.get_weights(), strict=True):
        np.testing.assert_array_equal(rounded, weight.astype(np.float16))
    run, packed = ((tmp_path / name / "model.keras").stat().st_size for name in ("run", "packed"))
    assert packed < run
