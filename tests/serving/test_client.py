"""The client and the README's requests, against a real server.

The server is a small one on loopback that speaks TF Serving's REST and gRPC forms, or, with
TF_SERVING=official (`.ci/serving`), the official image with saved_models/mnist on its usual ports.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import tf_serving
import yaml
from conftest import ROOT, TINY, assert_same_completions, enlarge, run_here
from PIL import Image, ImageDraw

import pcnn_keras as pcnn
from pcnn_keras.export.signatures import export


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The model behind a server, its name there, and the ports."""
    if os.environ.get("TF_SERVING") == "official":
        yield SimpleNamespace(model=pcnn.load(ROOT / "saved_models" / "mnist"), name="mnist", rest=8501, grpc=8500)
        return
    model = enlarge(pcnn.build_model(TINY.replace(height=28, width=28)), 2.0)
    with tf_serving.serving(export(model, tmp_path_factory.mktemp("serving")), "mnist") as (rest, grpc):
        yield SimpleNamespace(model=model, name="mnist", rest=rest, grpc=grpc)


@pytest.fixture
def digit(tmp_path):
    """A seven, 56 x 56."""
    image = Image.new("L", (56, 56))
    ImageDraw.Draw(image).line([(14, 14), (42, 14), (24, 48)], fill=255, width=6, joint="curve")
    image.save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


def client(*flags):
    """Runs `serving/client.py` as a user does who has installed NumPy, Pillow and Matplotlib alone."""
    code = ("import runpy, sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'scipy', 'h5py'))); "
            f"sys.argv[0] = 'client.py'; runpy.run_path({str(ROOT / 'serving' / 'client.py')!r}, run_name='__main__')")
    return subprocess.run([sys.executable, "-c", code, *map(str, flags)], capture_output=True, text=True, timeout=250,
                          env={**os.environ, "no_proxy": "*"})


def ask(server, *flags, protocol="rest"):
    """Points the client to the server."""
    if protocol == "grpc":  # in this process: gRPC's stub imports TensorFlow, which takes seconds
        return run_here("serving/client.py", "--grpc", f"127.0.0.1:{server.grpc}", "--name", server.name, *flags)
    return client("--url", f"http://127.0.0.1:{server.rest}", "--name", server.name, *flags)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_completions_are_those_of_python(server, digit, tmp_path, protocol):
    done = ask(server, "--image", digit, "--mask", "bottom:14", "--num-samples", 12, "--temperature", 0.7,
               "--seed", 2**40, "--output", tmp_path / "out", protocol=protocol)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "out" / "samples.npz") as saved:
        image, mask = saved["image"], saved["mask"]
        assert image.shape == (1, 28, 28, 1) and image.any() and mask[0, :, 0, 0].tolist() == [0] * 14 + [1] * 14
        expected = pcnn.inpaint(server.model, image, mask, 12, np.float32(0.7), seed=2**40).ranked()
        assert_same_completions(saved, expected)
        assert saved["kept"].all()
    with Image.open(tmp_path / "out" / "grid.png") as grid:
        assert grid.width > 8 * 60
    assert f"log-likelihoods {expected.log_likelihood[0, 0]:.1f} " in done.stdout


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_what_the_model_refuses_is_one_line_and_the_next_request_is_answered(server, digit, tmp_path, protocol):
    flags = ("--image", digit, "--mask", "all", "--output", tmp_path)
    refused = ask(server, *flags, "--num-samples", 5000, protocol=protocol)
    assert refused.returncode == 2 and refused.stdout == ""
    assert re.fullmatch(r"client.py: \S+: images times num_samples: expected at most 4096\.\n", refused.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["digit.png"]
    assert ask(server, *flags, "--num-samples", 1, protocol=protocol).returncode == 0


MISTAKES = {
    "nobody": (["--url", "http://127.0.0.1:1"], "No answer of TF Serving at http://127.0.0.1:1/.*: Connection refused"),
    "no scheme": (["--url", "127.0.0.1:1"], "No answer of TF Serving"),
    "another model": (["--name", "other"], "other"),
    "another name": (["--name", "two words"], "No answer of TF Serving"),
    "no image": (["--image", "missing.png"], "missing.png cannot be read: No such file"),
    "mask": (["--mask", "bottom:99"], "Mask 'bottom:99' goes beyond the image"),
    "blobs": (["--mask", "blobs"], "Mask 'blobs' needs TensorFlow"),
    "number": (["--num-samples", "0"], "expected a whole number from 1"),
    "hides": (["--mask-hides"], "--mask-hides goes with a mask file"),
    "grpc": (["--grpc", "127.0.0.1:1"], "--grpc needs the stub: pip install tensorflow-serving-api"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(server, digit, tmp_path, mistake):
    flags, message = MISTAKES[mistake]
    done = ask(server, "--image", digit, "--mask", "bottom:7", "--output", tmp_path / "out", *flags)
    assert done.returncode == 2 and re.search(message, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == "" and not (tmp_path / "out").exists()


def test_over_grpc_nobody_there_is_one_line(digit):
    done = run_here("serving/client.py", "--grpc", "127.0.0.1:1", "--image", digit, "--mask", "bottom:7")
    assert done.returncode == 2 and re.fullmatch(r"client.py: 127.0.0.1:1: UNAVAILABLE: .*\n", done.stderr)


def test_over_grpc_a_server_of_something_else_is_one_line(digit):
    import grpc
    from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

    class Other(prediction_service_pb2_grpc.PredictionServiceServicer):
        def GetModelMetadata(self, request, context):
            return get_model_metadata_pb2.GetModelMetadataResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Other(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    done = run_here("serving/client.py", "--grpc", f"127.0.0.1:{port}", "--image", digit, "--mask", "bottom:7")
    server.stop(None)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "client.py: The served model is not one that pcnn_keras exported.\n"


def test_a_mask_goes_the_way_of_the_photo_that_it_is_painted_on(server, tmp_path):
    photo, hidden = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    photo[:, 30:] = 255
    hidden[:, :30] = 255
    for name, pixels in (("photo", photo), ("mask", hidden)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    done = ask(server, "--image", tmp_path / "photo.png", "--mask", tmp_path / "mask.png", "--mask-hides",
               "--num-samples", 1, "--output", tmp_path / "out", protocol="grpc")
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "out" / "samples.npz") as saved:
        for name in ("image", "mask"):
            assert (saved[name][0, ..., 0] == (np.arange(28) >= 14)).all()


def predict(server, signature, **inputs):
    """HTTP status and answer to a request as any other client would send it."""
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.rest}/v1/models/{server.name}:predict", body)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_bad_image_is_a_clear_400_and_the_next_request_is_answered(server):
    zeros, twos = np.zeros((1, 28, 28, 1), int).tolist(), np.full((1, 28, 28, 1), 2).tolist()
    for image, mask, message in ((twos, zeros, "image: expected levels from 0 to 1"),
                                 (zeros, twos, "mask: expected 0 (hidden) or 1 (visible)")):
        status, answer = predict(server, "log_likelihood", image=image, mask=mask)
        assert status == 400 and message in answer["error"]
        assert predict(server, "log_likelihood", image=zeros, mask=zeros)[0] == 200


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_requests_in_the_readme_are_answered(server, tmp_path):
    text = (ROOT / "serving" / "README.md").read_text(encoding="utf-8")
    script, = (block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "curl" in block)
    script = script.replace("localhost:8501", f"127.0.0.1:{server.rest}").replace("curl ", "curl -s --noproxy '*' ")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    decoder, answers, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    status, metadata, completions, likelihood, probabilities, refused = answers
    assert status["model_version_status"][0]["state"] == "AVAILABLE" and "metadata" in metadata
    asked = json.loads((tmp_path / "inpaint.json").read_text())["inputs"]
    image, mask = np.array(asked["image"]), np.array(asked["mask"])
    expected = pcnn.inpaint(server.model, image, mask, asked["num_samples"], seed=asked["seed"]).ranked()
    np.testing.assert_array_equal(completions["outputs"]["samples"], expected.samples)
    np.testing.assert_allclose(likelihood["outputs"], pcnn.log_likelihood(server.model, image, mask), atol=1e-3)
    np.testing.assert_allclose(probabilities["outputs"], pcnn.pixel_probabilities(server.model, image, mask), atol=1e-5)
    assert "num_samples: expected at least 1" in refused["error"]


@pytest.fixture(scope="module")
def service():
    return yaml.safe_load((ROOT / "serving" / "compose.yaml").read_text(encoding="utf-8"))["services"]["pcnn"]


def test_the_compose_file_mounts_the_export_and_pins_the_image(service):
    volume, = service["volumes"]
    assert volume["source"] == "../saved_models/${MODEL:-mnist}/serving"
    assert volume["target"] == "/models/" + service["environment"]["MODEL_NAME"] == "/models/${MODEL:-mnist}"
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
    assert [port.rsplit(":", 1)[1] for port in service["ports"]] == ["8500", "8501"]


def test_the_health_check_tells_a_served_model_from_none(server, service):
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"

    def healthy(name, port):
        script = command[-1].replace("$$", "$").replace("/8501", f"/{port}")
        return subprocess.run([*command[:-1], script], env={"PATH": "/usr/bin:/bin", "MODEL_NAME": name},
                              capture_output=True, timeout=20).returncode == 0

    assert healthy(server.name, server.rest)
    assert not healthy("other", server.rest)
    assert not healthy(server.name, 1)
