"""Models on the Hugging Face Hub, by the real library against a server of this machine that speaks the Hub's HTTP."""

import base64
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import ROOT, TINY, save_model

import pcnn_keras as pcnn
from pcnn_keras import hub
from pcnn_keras.commands import upload
from pcnn_keras.training.history import HEAD, JUDGED_BY, write_history

COMMIT = "0" * 40
HOSTILE = {"custom.py": b"raise SystemExit", "model.pkl": b"\x80", "examples/deep.pkl": b"\x80"}


class Hub(BaseHTTPRequestHandler):
    """One repository, `me/tiny`, whose files are `server.files`."""

    def log_message(self, *_):
        pass

    def answer(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        files, path = self.server.files, self.path.partition("?")[0]
        if path in (f"/api/models/me/tiny/revision/{name}" for name in ("main", "v1")):
            self.answer({"id": "me/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif path.startswith(f"/api/models/me/tiny/tree/{COMMIT}"):
            self.answer([{"type": "file", "path": name, "size": len(content), "oid": f"{i:040}"}
                         for i, (name, content) in enumerate(files.items())])
        elif (found := re.fullmatch(f"/me/tiny/resolve/(?:{COMMIT}|main)/(.*)", path)) and found[1] in files:
            self.server.fetched.add(found[1])
            self.answer(files[found[1]], ETag=f'"{found[1]}"')
        else:
            self.answer({"error": "Not found"}, 404, **{"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def do_POST(self):
        body, address = self.rfile.read(int(self.headers["Content-Length"])), f"http://{self.headers['Host']}/me/tiny"
        if self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self.answer({"url": address, "name": "me/tiny", "id": "me/tiny"})
        elif self.path.startswith("/api/models/me/tiny/preupload/main"):
            self.answer({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                                   for file in json.loads(body)["files"]]})
        elif self.path.startswith("/api/models/me/tiny/commit/main"):
            lines = [json.loads(line) for line in body.splitlines()]
            self.server.files |= {line["value"]["path"]: base64.b64decode(line["value"]["content"])
                                  for line in lines if line["key"] == "file"}
            self.answer({"success": True, "commitUrl": f"{address}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.answer({})


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("huggingface_hub")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.files, server.fetched = {}, set()
        Thread(target=server.serve_forever, daemon=True).start()
        environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "PYTHONPATH": str(ROOT),
                       "HF_HOME": str(tmp_path / "cache"), "HF_TOKEN": "hf_nobody",  # read when it is imported
                       "HF_HUB_OFFLINE": "0"}

        def call(*command):
            done = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, env=environment, text=True,
                                  capture_output=True, timeout=200)
            return done.returncode, done.stdout.strip(), done.stderr.strip()

        server.call = call
        yield server
        server.shutdown()


def find(address):
    return "-c", f"from pcnn_keras.models import find_model; print(find_model({address!r}))"


def test_a_model_goes_to_the_hub_and_comes_back_and_nothing_else_does(server, tmp_path):
    model = save_model(pcnn.build_model(TINY), tmp_path / "model")
    for name in ("README.md", "run.json", "checkpoint.npz", "classifier.keras", "evaluation.json", "examples/0.png",
                 "examples/notes.txt"):
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text("{}")
    code, out, errors = server.call("-m", "pcnn_keras", "upload", "model", "me/tiny", "--private")
    assert server.created.get("private") or server.created.get("visibility") == "private"  # as versions say it
    assert code == 0 and out.endswith('pcnn.load("hf://me/tiny")'), errors
    kept = {"model.keras", "config.json", "classifier.keras", "README.md", "evaluation.json", "examples/0.png"}
    assert set(server.files) == kept

    server.files |= HOSTILE
    for address in ("hf://me/tiny", "hf://me/tiny@v1"):
        code, folder, errors = server.call(*find(address))
        assert code == 0, errors
    assert server.fetched == kept
    assert pcnn.load(folder).config == TINY == model.config


def test_a_model_without_a_card_goes_up_with_one_and_keeps_what_stands_there(server, tmp_path):
    folder = tmp_path / "model"
    save_model(pcnn.build_model(TINY), folder)
    before = {*folder.iterdir()}
    for card in (None, b"written there"):
        server.files |= {"README.md": card} if card else {}
        code, _, errors = server.call("-m", "pcnn_keras", "upload", "model", "me/tiny")
        assert code == 0, errors
        assert server.files["README.md"] == (card or upload.card(folder, TINY, "me/tiny").encode())
    assert {*folder.iterdir()} == before


def test_a_card_says_what_the_files_of_a_run_say(tmp_path):
    text = upload.card(tmp_path, TINY, "me/tiny")
    assert 'pcnn.load("hf://me/tiny")' in text and "5 x 4 pixels" in text and "prior_depth 1," in text
    assert "nats" not in text
    write_history(tmp_path, [{"step": step, JUDGED_BY: nats, HEAD: 9.5} for step, nats in ((1, 8.125), (2, 8.375))])
    measures = {"sum_nats_per_image": {"mean": 7.25, "error": 0.5}}
    (tmp_path / "evaluation.json").write_text(json.dumps({"images": 3, "masks": {"left:4": measures}}))
    text = upload.card(tmp_path, TINY, "me/tiny")
    assert "| 8.12 nats per image under blobs, 9.50 by the conditional head alone; at step 1 |" in text
    assert "| 3 test images | left:4: 7.25 ± 0.50 nats per image |" in text
    measures["sum_nats_per_image"]["error"] = None  # of one image
    (tmp_path / "evaluation.json").write_text(json.dumps({"images": 1, "masks": {"left:4": measures}}))
    assert "| 1 test images | left:4: 7.25 nats per image |" in upload.card(tmp_path, TINY, "me/tiny")
    for wrong in ("", "[]", "{}", '{"images": 3, "masks": {"none": 1}}'):
        (tmp_path / "evaluation.json").write_text(wrong)
        with pytest.raises(pcnn.InputError, match="holds no evaluation"):
            upload.card(tmp_path, TINY, "me/tiny")


def test_what_is_wrong_is_one_line(server, tmp_path):
    save_model(pcnn.build_model(TINY), tmp_path / "model")
    assert server.call("-m", "pcnn_keras", "upload", "model", "me/tiny")[0] == 0
    code, out, errors = server.call("-m", "pcnn_keras", "sample", "--model", "hf://me/tiny", "--mask", "bottom:99")
    assert (code, out, errors.count("\n")) == (2, "", 0) and "bottom:99" in errors, errors  # and no bar of the download
    for address in ("hf://me/nothing", "hf://me/tiny@no-such"):
        code, out, errors = server.call("-m", "pcnn_keras", "sample", "--model", address)
        assert (code, out, errors.count("\n")) == (2, "", 0) and f"{address} cannot be loaded" in errors, errors


@pytest.mark.parametrize("address", ["hf://", "hf://me", "hf://a/b/c", "hf:// /tiny"])
def test_what_is_no_address_is_said(address):
    with pytest.raises(pcnn.InputError, match="USER/REPO"):
        pcnn.load(address)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for use in (lambda: pcnn.load("hf://me/tiny"), lambda: hub.upload(Path("model"), "me/tiny")):
        with pytest.raises(pcnn.InputError, match="pip install huggingface_hub"):
            use()
