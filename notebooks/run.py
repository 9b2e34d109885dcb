"""Executes the notebook and keeps it with its pictures: `python notebooks/run.py`.

It also puts the repository's public address, which stands in pyproject.toml alone, where readers need
it: the notebook's first cell, the badge of README.md, and what usage.md tells pip. Needs requirements-full.txt.
"""

import argparse
import re
import shutil
import tempfile
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK, USAGE = "notebooks/inpainting.ipynb", "docs/usage.md"
NO_ADDRESS = "https://ADDRESS/OF/THE/REPOSITORY"
WITHOUT = (".git", ".venv*", "*cache*", "checkpoint.npz", "last.keras", "tensorboard", "samples", "runs")
"""What a checkout may hold of its user's, and the notebook needs no copy of."""

SIGN = "<!-- notebook -->"


def repository(root):
    """The address in pyproject.toml; empty until there is one."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pcnn_keras"]["repository"]


def readme_line(address):
    """The line of README.md that leads to the notebook."""
    if not address:
        return f"{SIGN} [Notebook]({NOTEBOOK})"
    place = address.removeprefix("https://github.com/").removesuffix(".git")
    return (f"{SIGN} [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"(https://colab.research.google.com/github/{place}/blob/main/{NOTEBOOK})")


def with_address(text, address):
    """The notebook's text with the address in its first cell."""
    return re.sub(r'REPOSITORY = \\"[^"]*\\"', lambda _: f'REPOSITORY = \\"{address}\\"', text, count=1)


def put_address(root):
    """Brings README.md, usage.md and the notebook in line with pyproject.toml."""
    address = repository(root)
    readme, usage, notebook = root / "README.md", root / USAGE, root / NOTEBOOK
    usage.write_text(re.sub(r'git\+https:[^\s"`]+', lambda _: f"git+{address or NO_ADDRESS}",
                            usage.read_text(encoding="utf-8")), encoding="utf-8")
    readme.write_text(re.sub(f"^{SIGN}.*$", lambda _: readme_line(address), readme.read_text(encoding="utf-8"),
                             flags=re.M), encoding="utf-8")
    notebook.write_text(with_address(notebook.read_text(encoding="utf-8"), address), encoding="utf-8")


def execute(root):
    """Runs the notebook in a copy of the checkout, so that what its cells write is not left in it.

    Returns:
        The executed notebook; a cell that fails is an exception.
    """
    notebook = nbformat.read(root / NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*WITHOUT))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": copy / "notebooks"}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, new in every run
    return notebook


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    here = Path(__file__).resolve().parents[1]
    put_address(here)
    nbformat.write(execute(here), here / NOTEBOOK)
    print(f"Executed {NOTEBOOK}.")
