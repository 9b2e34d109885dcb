"""What the pictures show, as it is handed to the axes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, run_here, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras import plots
from pcnn_keras.plots import HIDDEN, bar_lengths, completion_grid, occluded


@pytest.fixture
def shown(monkeypatch):
    """What grids show: row, column, picture, text and bar of each picture; and all text, in order."""
    pictures, texts = [], []
    show, text = plots._Grid.show, plots._Grid._text

    def record(grid, row, column, picture, text="", bar=None):
        pictures.append((row, column, picture, text, bar))
        show(grid, row, column, picture, text, bar)

    monkeypatch.setattr(plots._Grid, "show", record)
    monkeypatch.setattr(plots._Grid, "_text", lambda grid, *given: (texts.append(given[2]), text(grid, *given)))
    return pictures, texts


DRAW = """
import sys
import numpy as np
from pcnn_keras.plots import completion_grid, training_curves
nothing = np.zeros((1, 4, 5, 1), int)
completion_grid("grid.png", nothing, nothing, [nothing], [np.zeros(1)], 2)
row = {"step": 1} | {f"{val}{head}logits_nats_per_image": 2.0 for val in ("", "val_") for head in ("", "conditional_")}
training_curves("curves.png", [row, {**row, "step": 2}])
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
print(dict.__getitem__(matplotlib.rcParams, "backend"))
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draws in a folder with a matplotlibrc and an MPLBACKEND of one's own: bytes of both pictures, what is said."""
    def draw(matplotlibrc="", backend=""):
        folder = tmp_path_factory.mktemp("drawn")
        (folder / "matplotlibrc").write_text(matplotlibrc)
        environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", DRAW], cwd=folder, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return [(folder / name).read_bytes() for name in ("grid.png", "curves.png")], done.stdout.strip()
    return draw


@pytest.fixture(scope="module")
def plain(drawn):
    return drawn()[0]


@pytest.mark.parametrize("matplotlibrc, backend", [
    ("", "nonsense"), ("", "module://matplotlib_inline.backend_inline"), ("", "tkagg"),
    ("backend: pdf\nfigure.dpi: 7\nsavefig.dpi: 7\nsavefig.format: pdf\nsavefig.bbox: tight\naxes.grid: True\n"
     "font.size: 3\nlines.linewidth: 9\ntext.usetex: True\nno.such.setting: 1\nnot a setting", "")])
def test_pictures_are_drawn_the_same_whatever_matplotlib_is_set_to(drawn, plain, matplotlibrc, backend):
    found, backend_after = drawn(matplotlibrc, backend)
    assert found == plain
    assert backend != "tkagg" or backend_after == backend  # one that is always there stays the user's


def test_hidden_pixels_are_blue_and_visible_ones_as_they_are():
    mask = np.array([[[1], [0], [1]]])
    grey = occluded(np.array([[[1], [1], [0]]]), mask, 2)
    assert grey.dtype == np.uint8 and grey.tolist() == [[[255] * 3, list(HIDDEN), [0] * 3]]
    colour = occluded(np.array([[[0, 1, 2], [2, 2, 2], [2, 0, 0]]]), mask, 3)
    assert colour.tolist() == [[[0, 128, 255], list(HIDDEN), [255, 0, 0]]]


@pytest.mark.parametrize("nats, lengths", [
    ([-10, -20, -18], [1, 0, 0.2]), ([-3], [1]), ([-3, -3], [1, 1]), ([], [])])
def test_bars_are_full_for_the_likeliest_and_empty_for_the_least_likely(nats, lengths):
    np.testing.assert_allclose(bar_lengths(np.array(nats, np.float32)), lengths, atol=1e-6)


def test_a_row_of_the_grid_is_the_image_what_the_model_sees_then_completions_with_bars(shown, tmp_path):
    rng = np.random.default_rng(0)
    images, masks, samples = (rng.integers(0, 2, shape) for shape in ((2, 4, 5, 1), (2, 4, 5, 1), (2, 3, 4, 5, 1)))
    nats = np.array([[-2.0, -3.0, -6.0], [-1.0, -1.5, -2.0]])
    completion_grid(tmp_path / "grid.png", images, masks, samples, nats, 2, labels=["a.png, left:2", "b.png, left:2"])
    pictures, texts = shown
    assert [each[:2] for each in pictures] == [(row, column) for row in range(2) for column in range(5)]
    for row, (image, mask) in enumerate(zip(images, masks)):
        of_row = [each[2] for each in pictures[5 * row : 5 * row + 5]]
        np.testing.assert_array_equal(of_row[0], image * 255)
        np.testing.assert_array_equal(of_row[1], occluded(image, mask, 2))
        np.testing.assert_array_equal(of_row[2:], samples[row] * 255)
    assert [each[3] for each in pictures if each[4] is not None] == [f"{value:.1f} nats" for value in nats.flat]
    assert {"image", "visible", "a.png, left:2", "b.png, left:2"} <= set(texts)
    bars = [each[4] for each in pictures if each[4] is not None]
    np.testing.assert_allclose(bars, [1, 0.75, 0, 1, 0.875, 0.75])  # a nat is as long in both rows
    assert "empty 4.0 nats below it" in " ".join(texts) and "class" not in " ".join(texts)


def test_classes_stand_before_the_likelihoods(shown, tmp_path):
    image = np.zeros((4, 5, 1), int)
    completion_grid(tmp_path / "grid.png", [image], [image], [[image] * 2], [np.array([-1.0, -2.0])], 2,
                    classes=[np.array([7, 0])])
    assert [each[3] for each in shown[0]] == ["", "", "7: -1.0 nats", "0: -2.0 nats"]
    assert "the class that a classifier sees, log-likelihood" in " ".join(shown[1])


def test_a_picture_of_the_grid_is_where_it_should_be(tmp_path):
    image = np.array([[[0], [1], [0]], [[1], [1], [0]]])
    completion_grid(tmp_path / "grid.png", image[None], np.ones((1, 2, 3, 1), int), [image[None]], [np.zeros(1)], 2)
    with Image.open(tmp_path / "grid.png") as picture:
        grid, side = np.asarray(picture), 37  # of a pixel
    for left in (14, 14 + 3 * side + 14, 14 + 2 * (3 * side + 14)):
        found = grid[32 + side // 2 : 32 + 2 * side : side, left + side // 2 : left + 3 * side : side]
        np.testing.assert_array_equal(found, image.repeat(3, -1) * 255)
    assert (grid[:, -14:] == 255).all() and (grid[:32, :14] == 255).all()


def test_a_grid_has_an_end(shown, monkeypatch, tmp_path):
    monkeypatch.setattr(plots, "MOST_SHOWN", 3)
    monkeypatch.setattr(plots, "MOST_ROWS", 2)
    many = np.zeros((5, 4, 5, 1), int)
    completion_grid(tmp_path / "grid.png", many, many, [many] * 5, [np.zeros(5)] * 5, 2, labels=["a"] * 5)
    assert len(shown[0]) == 2 * (2 + 3) and shown[1].count("a") == 2


def test_a_grid_is_wide_enough_for_what_stands_in_it(tmp_path):
    nothing = np.zeros((1, 4, 5, 1), int)
    completion_grid(tmp_path / "grid.png", nothing, nothing, [nothing[:0]], [np.zeros(0)], 2, labels=["long " * 40])
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > 40 * 5 * 4 and (np.asarray(picture)[:, -10:] == 255).all()


def test_completions_below_the_least_likelihood_are_not_shown(tiny, tmp_path, shown):
    save_model(tiny, tmp_path)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "image.png")
    image, mask = np.zeros((4, 5, 1), int), np.zeros((4, 5, 1), int)
    drawn = pcnn.inpaint(tiny, image, mask, 6, seed=0).ranked()
    least = drawn.log_likelihood[2:4].mean()
    done = run_here("sample.py", "--model", tmp_path, "--image", tmp_path / "image.png", "--mask", "none",
                    "--num-samples", 6, f"--min-log-likelihood={least}", "--output", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "out" / "samples.npz") as saved:
        assert saved["kept"].tolist() == [[True] * 3 + [False] * 3] and saved["samples"].shape[1] == 6
    np.testing.assert_array_equal([each[2] for each in shown[0][-3:]], drawn.samples[:3] * 255)
    assert f"log-likelihoods {' '.join(f'{value:.1f}' for value in drawn.log_likelihood[:3])}\n" in done.stdout


def test_a_progression_is_shown_stage_by_stage(shown, tiny, tmp_path):
    image, mask = np.zeros((4, 5, 1), int), pcnn.parse_mask("left:2", 4, 5)(0)
    followed = pcnn.probability_progression(tiny, image, mask, num_stages=3, num_continuations=8)
    plots.progression_grid(tmp_path / "a.png", [image], [mask], [followed])
    first, *stages = [each[2] for each in shown[0]]
    np.testing.assert_array_equal(first, occluded(image, mask, 2))
    np.testing.assert_allclose(stages, 255 * followed.probabilities[..., 1], atol=1)
