"""The wheel: built, installed into an environment of its own, used in an empty folder."""

import os
import shutil
import site
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, repository_files


def call(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` of an environment that has the wheel, and beside it what this interpreter's environment has."""
    place = tmp_path_factory.mktemp("installed")
    for path in repository_files():
        copy = place / "source" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, place / "source", cwd=place)
    call(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv" / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *place.glob("*.whl"), cwd=place)
    (library,) = (place / "venv").glob("lib/*/site-packages")
    (library / "others.pth").write_text("\n".join(site.getsitepackages()))
    assert call(python, "-c", "import pcnn_keras; print(pcnn_keras.__file__)", cwd=place).startswith(str(library))
    return python.parent


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("program", [["pcnn"], ["python", "-m", "pcnn_keras"]])
@pytest.mark.parametrize("model", [[], ["--model", "mnist"]])
def test_a_digit_is_completed_in_an_empty_folder(installed, tmp_path, program, model):
    call(installed / program[0], *program[1:], "sample", *model, "--num-samples", 2, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]
    with np.load(tmp_path / "samples" / "samples.npz") as file:
        assert file["samples"].shape == (4, 2, 28, 28, 1) and (file["log_likelihood"] < 0).all()
        assert file["likeliest_class"].shape == (4, 2)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_models_load_by_name(installed, tmp_path):
    code = 'import pcnn_keras as pcnn; print(*(pcnn.load(name).config.dataset for name in ("mnist", "digits")))'
    assert call(installed / "python", "-c", code, cwd=tmp_path) == "mnist digits"
    assert not [*tmp_path.iterdir()]


@pytest.mark.full
def test_what_the_page_needs_is_an_extra(installed, tmp_path):
    code = 'from importlib.metadata import requires; print(requires("pcnn_keras")[-1])'
    assert call(installed / "python", "-c", code, cwd=tmp_path) == 'gradio<7,>=6.31; extra == "demo"'
