"""Asks TF Serving for completions of a partly hidden image: REST, or gRPC if its stub is installed.

`python serving/client.py --url http://localhost:8501 --image digit.png --mask bottom:7`

Neither TensorFlow, Keras nor the model's folder is needed: NumPy, Pillow and Matplotlib are enough.
"""

import json
import queue
import re
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from pcnn_keras.commands.cases import Case
from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.commands.outcome import run
from pcnn_keras.commands.results import expect_room, warn
from pcnn_keras.config import Config
from pcnn_keras.data.images import read_image
from pcnn_keras.data.masks import mask_kind, mask_of
from pcnn_keras.data.pixels import quantize
from pcnn_keras.data.prepare import prepare
from pcnn_keras.errors import InputError, reason
from pcnn_keras.files import output_folder
from pcnn_keras.inference.completions import Completed, Completions, save_completions
from pcnn_keras.quiet import import_tensorflow

TIMEOUT = 300
"""Seconds to wait for an answer, the whole of it."""

LARGEST_ANSWER = 2**30
"""Bytes."""

LARGEST_IMAGE = 2**24
"""Pixels."""


class Rest:
    """A served model, over HTTP.

    `metadata` and `predict` raise `InputError` if the server is not there, or refuses.
    """

    def __init__(self, url, name):
        self._model = f"{url.rstrip('/')}/v1/models/{name}"

    def metadata(self):
        """The model's signatures, as JSON."""
        answer = self._ask("/metadata")
        try:
            return answer["metadata"]["signature_def"]["signature_def"]
        except (KeyError, TypeError) as error:
            raise InputError(f"{self._model} is not a model of TF Serving.") from error

    def predict(self, inputs):
        """Outputs of `inpaint` by name, from inputs by name; arrays."""
        columns = {name: value.tolist() for name, value in inputs.items()}
        try:
            return self._ask(":predict", {"signature_name": "inpaint", "inputs": columns})["outputs"]
        except (KeyError, TypeError) as error:
            raise unexpected("outputs") from error

    def _ask(self, what, body=None):
        url = self._model + what
        try:
            request = urllib.request.Request(url, body and json.dumps(body).encode())
            said, content = within(TIMEOUT, lambda: _read(request))
            if said:
                raise refusal(url, _message(content) or said)
            return json.loads(content)
        except InputError:
            raise
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise InputError(f"No answer of TF Serving at {url}: {reason(getattr(error, 'reason', error))}.") from error


def _read(request):
    """What an HTTP server says of its error, None if there is none, and what it sends."""
    try:
        response, said = urllib.request.urlopen(request, timeout=TIMEOUT), None
    except urllib.error.HTTPError as error:
        response, said = error, f"HTTP {error.code} {error.reason}"
    with response:
        content = response.read(LARGEST_ANSWER + 1)
    if len(content) > LARGEST_ANSWER:
        raise ValueError(f"it is longer than {LARGEST_ANSWER >> 20} MB")
    return said, content


def _message(content):
    """TF Serving's message in the answer of an error, or None."""
    try:
        return str(json.loads(content.replace(b"\\'", b"'"))["error"])  # it escapes as C does, not as JSON
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def within(seconds, ask):
    """What `ask()` gives or raises; a `TimeoutError` if it takes longer, however its time is spent."""
    outcome = queue.SimpleQueue()

    def work():
        try:
            outcome.put((ask(), None))
        except Exception as error:
            outcome.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"it is not there after {seconds} seconds") from None
    if error:
        raise error
    return answer


class Grpc:
    """The same, over gRPC."""

    def __init__(self, address, name):
        try:
            import_tensorflow()  # by the stub
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError as error:
            raise InputError("--grpc needs the stub: pip install tensorflow-serving-api") from error
        self._address, self._name, self._error = address, name, grpc.RpcError
        channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", LARGEST_ANSWER)])
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def metadata(self):
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from tensorflow_serving.apis import get_model_metadata_pb2 as messages

        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        signatures = messages.SignatureDefMap()
        try:
            self._ask(self._service.GetModelMetadata, request).metadata["signature_def"].Unpack(signatures)
        except DecodeError as error:
            raise InputError(f"{self._address} is not TF Serving.") from error
        return MessageToDict(signatures, preserving_proto_field_name=True).get("signature_def", {})

    def predict(self, inputs):
        from tensorflow import make_ndarray, make_tensor_proto
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = PredictRequest(inputs={name: make_tensor_proto(value) for name, value in inputs.items()})
        request.model_spec.signature_name = "inpaint"
        outputs = self._ask(self._service.Predict, request).outputs
        try:
            return {name: make_ndarray(value) for name, value in outputs.items()}
        except (ValueError, TypeError) as error:
            raise unexpected("outputs") from error

    def _ask(self, method, request):
        request.model_spec.name = self._name
        try:
            return method(request, timeout=TIMEOUT)
        except self._error as error:
            raise refusal(self._address, f"{error.code().name}: {error.details()}") from error


def refusal(address, message):
    """The server's error in one line: what the model says of a wrong input, or else the whole."""
    said = re.search(r"assertion failed: \[(.*?)\]", message)
    return InputError(f"{address}: {said[1] if said else message}.")


def sizes(signatures):
    """The `Config` of a model of the same size, channels and levels, from the shape of its probabilities."""
    try:
        shape = signatures["pixel_probabilities"]["outputs"]["probabilities"]["tensor_shape"]["dim"]
        _, *sides = (int(side["size"]) for side in shape)
        height, width, channels, num_levels = sides
        if min(height, width) < 1 or height * width > LARGEST_IMAGE:
            raise ValueError("of no size")
        return Config(height=height, width=width, channels=channels, num_levels=num_levels)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise InputError("The served model is not one that pcnn_keras exported.") from error


def completions(outputs, image, mask, num_samples, num_levels):
    """The `Completions` in what `predict` gives; an `InputError` if they are not completions of the image."""
    samples = _array(outputs, "samples", (1, num_samples, *image.shape), "iu")
    likelihood = _array(outputs, "log_likelihood", (1, num_samples), "iuf")
    draw = _array(outputs, "draw", (1, num_samples), "iu")
    if not ((samples >= 0) & (samples < num_levels) & ((samples == image) | (mask == 0))).all():
        raise unexpected("samples")
    if not (np.abs(likelihood) < np.finfo(np.float32).max).all():
        raise unexpected("log_likelihood")
    if not np.array_equal(np.sort(draw[0]), np.arange(num_samples)):
        raise unexpected("draw")
    return Completions(samples.astype(np.int32), likelihood.astype(np.float32), draw.astype(np.int32))


def _array(outputs, name, shape, kinds):
    try:
        values = np.asarray(outputs[name])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise unexpected(name) from error
    if values.shape != shape or values.dtype.kind not in kinds:
        raise unexpected(name)
    return values


def unexpected(name):
    return InputError(f"The server's answer is not that of a model that pcnn_keras exported: {name}.")


def parse():
    parser = Parser(__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="REST address of the server")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="ask over gRPC instead")
    parser.add_argument("--name", default="mnist", help="what the server calls the model")
    parser.add_argument("--image", type=Path, required=True, metavar="FILE",
                        help="cropped to the model's shape and resized, made grey for a grey model")
    parser.add_argument("--mask", required=True, metavar="SPEC",
                        help="what stays visible: bottom:7 and the like, or an image file, white = visible")
    parser.add_argument("--mask-hides", action="store_true", help="in a mask file, white is hidden and black visible")
    parser.add_argument("--num-samples", type=number(int, 1, 2**31 - 1), default=8, metavar="N",
                        help="completions (default: 8)")
    parser.add_argument("--temperature", type=number(float, 0), default=1.0, metavar="X",
                        help="below 1: likelier levels more often; 0: the likeliest")
    parser.add_argument("--seed", type=number(int, 0, 2**63 - 1), default=0, metavar="N",
                        help="of the noise (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("served"), help="folder for grid.png and samples.npz")
    flags = parser.parse_args()
    kind = mask_kind(flags.mask).name
    if flags.mask_hides and kind != "file":
        parser.error("--mask-hides goes with a mask file")
    given = [flags.image] + [Path(flags.mask)] * (kind == "file")
    for path in given:
        if not path.exists():
            raise InputError(f"{path} cannot be read: No such file or directory.")
    expect_room(flags.output, (), {path.resolve() for path in given})
    return flags


def main():
    flags = parse()
    server = Grpc(flags.grpc, flags.name) if flags.grpc else Rest(flags.url, flags.name)
    config = sizes(server.metadata())
    make_mask = mask_of(flags.mask, config.height, config.width, flags.mask_hides)
    if mask_kind(flags.mask).name == "blobs":
        try:
            import_tensorflow()
        except ImportError as error:
            raise InputError(f"Mask {flags.mask!r} needs TensorFlow on this machine.") from error
    picture = prepare(read_image(flags.image, config.channels), config)
    image, mask = quantize(picture.image(), config.num_levels), make_mask(flags.seed, picture)
    warn(Case(str(flags.image), flags.mask, image, mask, flags.seed), "")
    with output_folder(flags.output):
        outputs = server.predict({
            "image": image[None].astype(np.int32), "mask": mask[None].astype(np.int32),
            "num_samples": np.int32(flags.num_samples), "temperature": np.float32(flags.temperature),
            "seed": np.int64(flags.seed)})
        drawn = completions(outputs, image, mask, flags.num_samples, config.num_levels)
        completed = Completed(image[None], mask[None], drawn, np.ones(drawn.draw.shape, bool))
        written = save_completions(flags.output, completed, config.num_levels)
    print("log-likelihoods", " ".join(f"{nats:.1f}" for nats in drawn.log_likelihood[0]))
    print(f"Wrote {', '.join(map(str, written))}.")


if __name__ == "__main__":
    run(main)
