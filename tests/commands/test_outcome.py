"""Whatever a program's streams are, it does its work and ends with 0, or with 2 and one line."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

PROGRAM = """
import sys
from pathlib import Path
from pcnn_keras.commands.outcome import run
from pcnn_keras.errors import InputError
def main():
    for _ in range(3):
        print("Größe 中 " * 2000)
        sys.stdout.flush()
    print("Ende 中")
    Path("done").touch()
    if "wrong" in sys.argv:
        raise InputError("Größe\\nfalsch")
run(main)
"""
STREAMS = {  # as a shell has it: exit code without and with a mistake
    "": 0, ">&-": 0, "2>&-": 0, "<&- >&- 2>&-": 0, ">/dev/full": 2, "2>/dev/full": 0, ">/dev/full 2>/dev/full": 2,
    "| head -0": 0, "| head -c 9": 0, ">/dev/null": 0,
}


@pytest.mark.parametrize("streams, encoding", [
    ("", "utf-8"), ("", "latin-1:strict"), *((streams, "ascii") for streams in STREAMS)])
@pytest.mark.parametrize("wrong", [False, True])
def test_streams_that_are_closed_full_or_ended_stop_no_program(tmp_path, streams, encoding, wrong):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = f"set -o pipefail; {sys.executable} program.py {'wrong' if wrong else ''} {streams}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)})
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == (2 if wrong else STREAMS[streams]), said
    assert (tmp_path / "done").exists()
    heard = "2>" not in streams
    assert said.count("\n") == (heard and done.returncode == 2), said
    if heard and streams.startswith(">/dev/full") and not wrong:
        assert "Standard output cannot be written: No space left on device." in said


@pytest.mark.parametrize("flag", ["--version", "--help", "sample --help"])
def test_what_a_full_disk_does_not_hold_of_help_is_one_line(flag):
    done = subprocess.run(f"{sys.executable} -m pcnn_keras {flag} > /dev/full", shell=True, cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_ended_leaves_nothing_half_written(tmp_path, number):
    program = """
import os, signal, sys, time
from pcnn_keras.commands.outcome import run
from pcnn_keras.files import output_folder, replacing
def main():
    with output_folder("out"), replacing("out/file") as aside:
        aside.touch()
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(60)
signal.signal(int(sys.argv[1]), signal.SIG_DFL)  # the tests may run under nohup
run(main)
"""
    done = subprocess.run([sys.executable, "-c", program, str(int(number))], cwd=tmp_path, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (1, "-c: stopped.\n")
    assert not [*tmp_path.iterdir()]
