"""The client against servers that answer something else."""

import contextlib
import importlib.util
import json
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from made_up import FEW, JSON, cases
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands import outcome

GRID = (4, 4, 1)
METADATA = {"metadata": {"signature_def": {"signature_def": {"pixel_probabilities": {"outputs": {"probabilities": {
    "tensor_shape": {"dim": [{"size": size} for size in ("-1", "4", "4", "1", "4")]}}}}}}}}
ANSWER = {"outputs": {"samples": np.zeros((1, 2, *GRID), int).tolist(), "log_likelihood": [[-1.5, -2.0]],
                      "draw": [[1, 0]]}}


class Server(ThreadingHTTPServer):
    """Answers with `status` and the bytes `body`, or to GET with `metadata`; `pause` seconds between two bytes."""

    status, body, metadata, pause = 200, b"", json.dumps(METADATA).encode(), 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, self.server.metadata)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))  # what is left unread resets the connection
        self.answer(self.server.status, self.server.body)

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has heard enough
            if not self.server.pause:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(self.server.pause)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def module():
    """The client, imported."""
    spec = importlib.util.spec_from_file_location("client", ROOT / "serving" / "client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(module, tmp_path, monkeypatch, capfd):
    """Has the client ask a server that answers as is said: exit code, line on stderr; a refusal leaves no file."""
    Image.new("L", (4, 4)).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)

    def ask(**says):
        with Server(("127.0.0.1", 0), Handler) as server:
            vars(server).update(says)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            monkeypatch.setattr(sys, "argv", [
                "client.py", f"--url=http://127.0.0.1:{server.server_port}", "--image=image.png", "--mask=none",
                "--num-samples=2", "--output=out/below"])
            with pytest.raises(SystemExit) as exited:
                outcome.run(module.main)
            server.shutdown()
        said, code = capfd.readouterr().err, exited.value.code or 0
        assert code in (0, 2) and said.count("\n") == (code == 2), said
        assert (tmp_path / "out").exists() == (code == 0)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return code, said
    return ask


def answer(**outputs):
    return json.dumps({"outputs": {**ANSWER["outputs"], **outputs}}).encode()


BAD = {
    "nothing": b"", "no JSON": b"<html>", "null": b"null", "empty": b"{}", "a list": b"[]", "a word": b'"outputs"',
    "no outputs": b'{"outputs": null}', "not unicode": b"\xff\xfe{", "deep": b"[" * 100_000,
    "a number of 5,000 digits": b"1" * 5000, "an array for all": b'{"outputs": [[0]]}',
    "samples missing": json.dumps({"outputs": {"draw": [[1, 0]], "log_likelihood": [[-1, -2]]}}).encode(),
    "samples of another shape": answer(samples=np.zeros((1, 2, 4, 5, 1), int).tolist()),
    "fewer completions": answer(samples=np.zeros((1, 1, *GRID), int).tolist()),
    "ragged": answer(samples=[[[[[0]] * 4] * 4, [[[0]] * 4] * 3]]),
    "a level too high": answer(samples=np.full((1, 2, *GRID), 255).tolist()),
    "a level below 0": answer(samples=np.full((1, 2, *GRID), -1).tolist()),
    "levels of 2^40": answer(samples=np.full((1, 2, *GRID), 2**40).tolist()),
    "levels of 2^70": answer(samples=np.full((1, 2, *GRID), 2**70).tolist()),
    "halves": answer(samples=np.full((1, 2, *GRID), 0.5).tolist()),
    "words": answer(samples=np.full((1, 2, *GRID), "0").tolist()),
    "truths": answer(samples=np.full((1, 2, *GRID), True).tolist()),
    "NaN": answer(log_likelihood=[[float("nan"), -1]]), "infinite": answer(log_likelihood=[[float("-inf"), -1]]),
    "too small": answer(log_likelihood=[[-1e300, -1]]), "likelihoods null": answer(log_likelihood=None),
    "one likelihood": answer(log_likelihood=[[-1]]), "likelihoods of words": answer(log_likelihood=[["-1", "-2"]]),
    "draws twice": answer(draw=[[1, 1]]), "draws beyond": answer(draw=[[0, 2]]), "draws null": answer(draw=[[0, None]]),
}


def test_a_good_answer_is_written(asked):
    assert asked(body=answer()) == (0, "")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_one_line_and_nothing_is_written(asked, kind):
    assert asked(body=BAD[kind])[0] == 2


def test_what_is_visible_stays_visible(asked, module):
    image, mask = np.zeros(GRID, int), np.ones(GRID, int)
    outputs = {**ANSWER["outputs"], "samples": np.ones((1, 2, *GRID), int)}
    assert module.completions(outputs, image, 1 - mask, 2, 4).samples.all()
    with pytest.raises(pcnn.InputError, match="samples"):
        module.completions(outputs, image, mask, 2, 4)


@pytest.mark.parametrize("body, message", [
    (b'{"error": 3}', ": 3."), (rb'{"error": "It\'s off."}', "It's off"), (b'{"error": null}', "None"),
    (b"", "HTTP 400"), (b"[]", "HTTP 400"), (b"[" * 100_000, "HTTP 400"), (rb'{"error": "two\nlines"}', "two lines")])
def test_a_refusal_is_said_whatever_its_form(asked, body, message):
    code, said = asked(status=400, body=body)
    assert code == 2 and message in said


@pytest.mark.parametrize("sizes", [
    [], [4, 4], [-1, -1, 4, 1, 4], [-1, 0, 4, 1, 4], [-1, 4, 4, 2, 4], [-1, 4, 4, 1, 1], [-1, 10**6, 10**6, 1, 4],
    [-1, 4, 4, 1, "many"], [-1, None, 4, 1, 4], [-1, 4, 4, 1, 10**30]])
def test_a_model_of_no_size_is_not_one_of_ours(asked, sizes):
    metadata = json.loads(json.dumps(METADATA))
    outputs = metadata["metadata"]["signature_def"]["signature_def"]["pixel_probabilities"]["outputs"]
    outputs["probabilities"]["tensor_shape"]["dim"] = [{"size": size} for size in sizes]
    code, said = asked(metadata=json.dumps(metadata).encode())
    assert code == 2 and "not one that pcnn_keras exported" in said


def test_an_answer_that_trickles_in_is_not_waited_for_without_end(asked, module, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 1)
    started = time.monotonic()
    code, said = asked(body=answer(), pause=0.1)
    assert code == 2 and "not there after 1 seconds" in said and time.monotonic() - started < 15


def test_an_answer_without_end_is_not_read_to_it(asked, module, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_ANSWER", 2**20)
    code, said = asked(body=b" " * 2**22)
    assert code == 2 and "longer than 1 MB" in said


@st.composite
def changed(draw):
    """A good answer in which something is another thing."""
    whole = draw(st.sampled_from([METADATA, ANSWER]))
    part = copy = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 9))):
        keys = [*part] if isinstance(part, dict) else range(len(part))
        key = draw(st.sampled_from(sorted(keys)))
        if not isinstance(part[key], (dict, list)) or not part[key]:
            break
        last, part = part, part[key]
    else:
        part, key = last, key
    part[key] = draw(JSON)
    return "metadata" if whole is METADATA else "body", json.dumps(copy).encode()


@pytest.mark.parametrize("count", [FEW, pytest.param(10 * FEW, marks=pytest.mark.full)])
def test_an_answer_of_which_a_part_is_another_thing(asked, count):
    @cases(count)
    @given(change=changed())
    def each(change):
        where, content = change
        asked(**{"body": answer(), where: content})
    each()
