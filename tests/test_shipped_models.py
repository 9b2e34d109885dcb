"""The models in saved_models/: complete, small, good at what they say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pcnn_keras as pcnn
from pcnn_keras.images import list_images, read_levels

ROOT = Path(__file__).parents[1]
TRACKED = subprocess.run(["git", "ls-files", "saved_models"], cwd=ROOT, capture_output=True, text=True).stdout.split()
FOLDERS = sorted({ROOT / "saved_models" / path.split("/")[1] for path in TRACKED if path.endswith("model.keras")})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_ships_with_all_that_belongs_to_it(folder):
    files = [ROOT / path for path in TRACKED if (ROOT / path).is_relative_to(folder)]
    assert {"model.keras", "config.json", "history.csv", "curves.png", "evaluation.json", "classifier.keras",
            "README.md", "examples"} <= {path.relative_to(folder).parts[0] for path in files}
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_tells_its_examples_from_noise(folder):
    """Levels in another order have far less likelihood: the weights are those of a trained model."""
    model = pcnn.load(folder)
    images = read_levels(list_images(folder / "examples"), model.config)
    masks = np.stack([pcnn.parse_mask("none", *images.shape[1:3])(0)] * len(images))
    noise = np.random.default_rng(0).permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)
    assert (pcnn.log_likelihood(model, images, masks) > pcnn.log_likelihood(model, noise, masks) / 2).all()


def test_the_likelihood_of_mnist_is_what_was_asked_for():
    result = json.loads((ROOT / "saved_models" / "mnist" / "evaluation.json").read_text())
    assert result["images"] == 1000 and result["masks"]["blobs"]["sum_nats_per_image"]["mean"] <= 49


def test_sample_with_no_flag(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "sample.py", "--output", tmp_path], cwd=ROOT, capture_output=True,
                          text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "samples.npz") as saved:
        assert saved["samples"].shape == (4, 8, 28, 28, 1) and (np.diff(saved["log_likelihood"]) <= 0).all()
        for image in range(1, 4):  # each has noise of its own
            assert (saved["samples"][image] != saved["samples"][0]).any(axis=(1, 2, 3)).all()
