"""Models by folder and by name; what of them is in a wheel."""

import tomllib

import pytest
from conftest import ROOT, TINY, save_model

import pcnn_keras as pcnn
from pcnn_keras.models import find_model, shipped_models


def test_a_model_that_ships_has_a_name_and_what_is_here_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "saved_models/mnist"):
        assert find_model(name) == ROOT / "saved_models" / "mnist"
        (tmp_path / name).mkdir(parents=True)
        assert find_model(name) == ROOT / "saved_models" / "mnist"  # that folder is no model's
        TINY.save(tmp_path / name / "config.json")
        assert find_model(name).samefile(tmp_path / name)
    for name in ("elsewhere/digits", "/digits"):
        with pytest.raises(pcnn.InputError, match="celeba, digits, .*mnist"):
            find_model(name)


def test_a_model_of_one_s_own_in_a_checkout_does_not_ship(tmp_path, monkeypatch):
    monkeypatch.setattr("pcnn_keras.models.SHIPPED", (tmp_path,))
    save_model(pcnn.build_model(TINY), tmp_path / "mine")
    assert not shipped_models()
    (tmp_path / "mine" / "README.md").touch()
    assert [*shipped_models()] == ["mine"]


def test_a_name_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pcnn.load("digits").config.dataset == "digits"
    save_model(pcnn.build_model(TINY), tmp_path / "digits")
    assert pcnn.load("digits").config == TINY


def test_the_wheel_has_all_packages_and_the_models_with_their_cards():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("pcnn_keras/**/__init__.py")}
    assert packages | set(built["package-dir"]) == set(built["packages"])
    for package, folder in built["package-dir"].items():
        assert shipped_models()[package.rpartition(".")[2]] == ROOT / folder
        assert all([*(ROOT / folder).glob(pattern)] for pattern in built["package-data"][package])
        assert "*.keras" in built["package-data"][package]  # the classifier, too
