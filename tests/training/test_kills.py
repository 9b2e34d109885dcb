"""Training that is killed again and again ends as if it had not been; `benchmarks/kills.py` prints the figures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_a_run_that_is_killed_anywhere_ends_as_an_uninterrupted_one():
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    done = subprocess.run([sys.executable, script, "4"], capture_output=True, text=True, timeout=1400)
    assert done.returncode == 0, done.stdout + done.stderr
    kills, in_write = map(int, re.search(r"(\d+) kills, (\d+) of them in", done.stdout).groups())
    assert kills == 4 and in_write >= 1, done.stdout
