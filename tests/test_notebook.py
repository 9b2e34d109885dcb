"""The notebook: saved as it was executed, and executable."""

import ast
import importlib.util
import json
import re
import shutil

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "notebooks" / "inpainting.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def run():
    """The module notebooks/run.py."""
    pytest.importorskip("nbclient")
    spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_saved_executed_with_its_pictures():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


def test_it_defines_nothing_of_its_own():
    for cell in CODE:
        lines = re.sub(r"^( *)[!%].*", r"\1pass", "".join(cell["source"]), flags=re.M)
        assert not [node for node in ast.walk(ast.parse(lines))
                    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda))]


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_it_runs(run):
    executed = run.execute(ROOT)
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")


@pytest.mark.full
def test_the_address_stands_where_readers_need_it(run, tmp_path):
    for file in ("README.md", "pyproject.toml", run.USAGE, run.NOTEBOOK):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    run.put_address(tmp_path)
    for file in ("README.md", run.USAGE, run.NOTEBOOK):
        assert (tmp_path / file).read_bytes() == (ROOT / file).read_bytes(), "run notebooks/run.py"

    text = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(
        re.sub('repository = ".*"', 'repository = "https://github.com/someone/some.name"', text))
    run.put_address(tmp_path)
    assert "colab.research.google.com/github/someone/some.name/blob/main/notebooks/" in (
        tmp_path / "README.md").read_text()
    assert (tmp_path / run.USAGE).read_text().count("git+https://github.com/someone/some.name") == 2
    cells = json.loads((tmp_path / run.NOTEBOOK).read_text())["cells"]
    assert 'REPOSITORY = "https://github.com/someone/some.name"' in "".join(
        "".join(cell["source"]) for cell in cells)
