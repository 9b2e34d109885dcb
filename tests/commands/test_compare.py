"""Runs side by side."""

import pytest
from conftest import CONFIG, run_here
from PIL import Image

from pcnn_keras.training.history import HEAD, JUDGED_BY, write_history


def a_run(folder, config, nats, **more):
    folder.mkdir()
    config.save(folder / "config.json")
    write_history(folder, [{"step": 5 * i, JUDGED_BY: value, HEAD: 2 * value, **more}
                           for i, value in enumerate(nats, 1)])


def compare(*arguments):
    return run_here("pcnn_keras/commands/compare.py", *arguments)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path / "one", CONFIG, [40, 30.125, 31], seconds=61.5)
    a_run(tmp_path / "two", CONFIG.replace(filters=9, masks=("none", "bottom:1")), [41])


def test_a_table_has_the_settings_that_differ_and_what_came_of_them(runs):
    code, out, errors = compare("one", "two")
    assert (code, errors) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == [
        "filters", "masks", "steps", "seconds", "best held-out nats an image", "the conditional head's, there",
        "at step"]
    assert out.split() == (
        f"one two filters {CONFIG.filters} 9 masks blobs none bottom:1 steps 15 5 seconds 62 "
        "best held-out nats an image 30.12 41.00 the conditional head's, there 60.25 82.00 at step 10 5").split()


def test_models_are_named_as_everywhere(runs):
    code, out, errors = compare("mnist", "one")
    assert (code, errors) == (0, "") and out.splitlines()[0].split() == ["mnist", "one"]
    assert compare("mnist", "no-such")[::2] == (2, compare("no-such")[2])


def test_a_picture_has_the_curves(runs, tmp_path):
    code, out, errors = compare("one", "two", "--output", "curves")
    assert (code, errors) == (0, "") and out.endswith("Wrote curves.\n")
    with Image.open(tmp_path / "curves") as picture:
        assert len(picture.convert("RGB").getcolors(2**20)) > 20


def test_a_run_in_its_first_epoch_has_nothing_to_compare(runs, tmp_path):
    (tmp_path / "two" / "history.csv").unlink()
    (tmp_path / "two" / "checkpoint.npz").touch()
    assert compare("one", "two") == (2, "", "compare.py: The run in two has not come to the end of its first epoch.\n")


@pytest.mark.parametrize("file, content", [
    ("history.csv", None), ("config.json", None), ("config.json", b"{"), ("history.csv", b""),
    ("history.csv", b"step\n5\n"), ("history.csv", b"step,loss\nfive,1,2\n"), ("history.csv", b"\xff\xfe")])
def test_a_broken_run_is_said_in_one_line(runs, tmp_path, file, content):
    path = tmp_path / "two" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    code, out, errors = compare("one", "two", "--output", "curves.png")
    assert (code, out, errors.count("\n")) == (2, "", 1) and "two" in errors
    assert not (tmp_path / "curves.png").exists()
