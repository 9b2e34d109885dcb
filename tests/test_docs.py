"""The pages say what is so: links lead somewhere, files and flags exist, examples run, nothing stands twice."""

import functools
import os
import re
import subprocess
import sys
from itertools import chain

import pytest
from conftest import ROOT, repository_files

import pcnn_keras as pcnn
from pcnn_keras.config import settings

PAGES = [path for path in repository_files() if path.suffix == ".md"]
OLD = "Version 0.1.0"  # how a paragraph begins that names a script of then


def name_of(path):
    return str(path.relative_to(ROOT))


def text_of(page):
    return page.read_text(encoding="utf-8")


def code_of(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), flags=re.M | re.S)


def anchors(page):
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page):
    for paragraph in text_of(page).split("\n\n"):
        for path in re.findall(r"[a-z_][\w./-]*/[a-z_\d.-]+\.(?:py|txt|md|yaml|npz|png|keras)\b", paragraph):
            places = (ROOT, ROOT / "pcnn_keras", page.parent)
            assert any((place / path).exists() for place in places) or OLD in paragraph or path.startswith(
                "samples/"), path


@functools.cache
def help_of(program):
    """What it says of itself, before it imports anything slow."""
    done = subprocess.run([sys.executable, "-X", "importtime", *program.split(), "--help"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\| +(tensorflow|keras)$", done.stderr, flags=re.M), program
    return done.stdout


def commands(page):
    """The programs that a page calls with flags, and these, wherever they stand in it."""
    inline = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S))
    for line in chain("\n".join(code_of(page, "bash")).replace("\\\n", " ").splitlines(), inline):
        if call := re.search(r"python (-m pcnn_keras(?: [a-z]+|[.\w]*)|[\w/]+\.py)\s(.*)", line, flags=re.S):
            yield call[1], re.findall(r"(?<=\s)--[a-z-]+\d*", f" {call[2].partition(' -- ')[0]}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_programs_have_the_flags_that_are_shown(page):
    for program, flags in commands(page):
        known = set(re.findall(r"--[a-z-]+\d*", help_of(program))) if flags else ()
        assert set(flags) <= set(known), program


@pytest.mark.parametrize("path", [
    path for folder in ("benchmarks", "experiments") for path in sorted((ROOT / folder).glob("*.py"))
    if path.name != "common.py"], ids=name_of)
def test_a_measurement_says_what_it_measures(path):
    assert help_of(name_of(path)).startswith("usage: ")


def test_there_are_commands_to_check():
    assert len([*commands(ROOT / "README.md"), *commands(ROOT / "docs" / "usage.md")]) > 15


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "usage.md"], ids=name_of)
def test_python_examples_run(page, tmp_path):
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    code = "\n".join(code_of(page, "python"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)
    assert code and done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_have_a_head_and_as_many_cells_in_every_row(page):
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)
    for rows in re.findall(r"(?:^\|.*\n?)+", prose, flags=re.M):
        _, rule, *_ = lines = rows.splitlines()
        assert re.fullmatch(r"(\| -+ )+\|", rule), lines[0]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines[0]


def test_no_row_of_figures_stands_twice():
    rows = [row for page in PAGES for row in re.findall(r"^\|.*\d.*\d.*\|$", text_of(page), flags=re.M)]
    rows = [row for row in rows if len(row) > 60]
    assert len(rows) > 50 and len(rows) == len(set(rows))


def test_the_front_page_has_the_line_that_runs_the_tests():
    assert len(re.findall(r"^python3 -m venv .* -m pytest$", text_of(ROOT / "README.md"), flags=re.M)) == 1
    assert len(text_of(ROOT / "README.md").splitlines()) <= 130


def test_the_table_of_departures_is_that_of_the_presets():
    ours, papers = pcnn.Config.preset("mnist"), pcnn.Config.preset("paper-mnist")
    differ = {f"--{name.replace('_', '-')}" for name, *_ in settings() if getattr(ours, name) != getattr(papers, name)}
    section = text_of(ROOT / "docs" / "method.md").partition("\n## Departures from the paper")[2]
    named = set(re.findall(r"`(--[a-z-]+)`", section.partition("These have no flag")[0]))
    assert differ <= named <= differ | {"--warmup-steps"}
