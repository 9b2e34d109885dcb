"""Imports point one way, and `import pcnn_keras` is quick."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, repository_files

import pcnn_keras

FOLDER = Path(pcnn_keras.__file__).parent
ORDER = {
    "": "errors files config internals quiet hub models",
    "data": "pixels slices images prepare blobs masks sources pipeline",
    " ": "plots",
    "network": "backend masked layers networks losses saved model",
    "inference": "noise inputs predict likelihood rows completions importance sampling progression",
    "training":
        "history optimizers devices precision compile run pace checkpoint interruptions run_files train",
    "export": "warm_up signatures",
    "evaluation": "figures metrics consistency classifier evaluate visible",
    "demo": "parts handlers page",
    "commands":
        "outcome flags datasets progress cases results train sample evaluate figures classifier export compare upload "
        "demo pcnn",
    "  ": "__main__ evaluate figures classifier export.__main__ demo.__main__",
}
"""Folder: modules. A module imports only such as stand before it."""
ORDER = [f"{folder.strip()}.{module}".strip(".") for folder, modules in ORDER.items() for module in modules.split()]
MODULES = sorted(".".join(path.relative_to(FOLDER).with_suffix("").parts)
                 for path in FOLDER.rglob("*.py") if path.stem != "__init__")


def imported(module):
    """All names that a module imports, anywhere in it, as dotted paths."""
    for node in ast.walk(ast.parse((FOLDER / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(module):
    """The package's modules among them: each has its place, wherever in the path to a name it stands."""
    names = [name.removeprefix("pcnn_keras.") for name in imported(module) if name.startswith("pcnn_keras.")]
    for name in names:
        found = [place for place in ORDER if f"{name}.".startswith(f"{place}.")]
        assert found, f"{module} imports {name}"
        yield max(found, key=len)


def test_every_module_has_its_place():
    assert MODULES == sorted(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    assert set(own(module)) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", ["network.masked", "network.layers", "network.networks", "network.losses"])
def test_what_the_model_is_made_of_is_free_of_backends(module):
    assert not [name for name in imported(module) if name.split(".")[0] in ("tensorflow", "jax", "torch")]


@pytest.mark.parametrize("path", [path for path in repository_files() if path.suffix == ".py"
                                  and not path.is_relative_to(FOLDER) and not path.is_relative_to(ROOT / "tests")],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_what_scripts_import_of_the_package_is_there(path):
    """Also inside functions, which no `--help` runs."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "pcnn_keras":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


def test_importing_the_package_imports_neither_keras_nor_tensorflow():
    code = "import sys, pcnn_keras; sys.exit(bool({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent).returncode == 0


@pytest.mark.parametrize("program", ["train", "sample", "demo"])
def test_flags_are_checked_before_anything_slow_is_imported(program):
    slow = {"tensorflow", "keras", "matplotlib", "scipy.ndimage", "sklearn", "gradio"}
    code = f"import sys, pcnn_keras.commands.{program}; print(*{slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_every_promised_name_is_there_and_no_other():
    for name in pcnn_keras.__all__:
        assert callable(getattr(pcnn_keras, name))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = pcnn_keras.no_such_name


def test_what_a_type_checker_sees_is_what_is_there():
    tree = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module.removeprefix("pcnn_keras.") for node in block.body for alias in node.names}
    assert seen == pcnn_keras._HOME
    assert set(pcnn_keras.__all__) == {"Config", "InputError", *pcnn_keras._HOME}


@pytest.mark.parametrize("name", sorted({*pcnn_keras.__all__} - {"Config", "InputError", "Splits"}))
def test_promised_functions_say_their_types(name):
    signature = inspect.signature(getattr(pcnn_keras, name))
    annotations = [signature.return_annotation, *(each.annotation for each in signature.parameters.values())]
    assert inspect.Signature.empty not in annotations


@pytest.mark.parametrize("name, defaults", [
    ("inpaint", {"num_samples": 16, "temperature": 1.0, "seed": 0, "sampler": "fast", "candidates": None}),
    ("random_blob_masks", {"max_num_blobs": 4, "iter_min": 2, "iter_max": 7, "seed": 0})])
def test_promised_defaults(name, defaults):
    parameters = inspect.signature(getattr(pcnn_keras, name)).parameters
    assert {each: parameters[each].default for each in defaults} == defaults


def test_the_version_is_one():
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pcnn_keras.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", pcnn_keras.__version__)
