"""TF Serving's REST and gRPC forms over a SavedModel, on loopback: status, metadata, predict.

https://www.tensorflow.org/tfx/serving/api_rest; for tests alone.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc


class Refused(Exception):
    """HTTP status and gRPC code, and a message."""


INVALID, NOT_FOUND = (400, grpc.StatusCode.INVALID_ARGUMENT), (404, grpc.StatusCode.NOT_FOUND)


class Model:
    """A loaded SavedModel under a name."""

    def __init__(self, folder, name):
        self.name = name
        saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signature_def = saved.meta_graphs[0].signature_def
        self._signatures = tf.saved_model.load(folder).signatures

    def check_name(self, name):
        if name != self.name:
            raise Refused(NOT_FOUND, f"Servable not found for request: Latest({name})")

    def types(self, signature):
        """The types of a signature's inputs, by name."""
        if signature not in self._signatures:
            raise Refused(INVALID, f'Serving signature name: "{signature}" not found in signature def')
        return {name: tf.as_dtype(info.dtype) for name, info in self.signature_def[signature].inputs.items()}

    def predict(self, signature, inputs):
        """Arrays by name to arrays by name."""
        if set(inputs) != set(self.types(signature)):
            raise Refused(INVALID, f"input size does not match signature: {sorted(inputs)}")
        try:
            outputs = self._signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise Refused(INVALID, error.message) from error
        return {name: value.numpy() for name, value in outputs.items()}


def rest_handler(model):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(self.get)

        def do_POST(self):
            self.answer(self.post)

        def get(self):
            name, _, rest = self.path.removeprefix("/v1/models/").partition("/")
            model.check_name(name)
            if rest == "metadata":
                signatures = {key: MessageToDict(value, preserving_proto_field_name=True)
                              for key, value in model.signature_def.items()}
                return {"model_spec": {"name": name, "signature_name": "", "version": "1"},
                        "metadata": {"signature_def": {"signature_def": signatures}}}
            return {"model_version_status": [
                {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}

        def post(self):
            name, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            model.check_name(name)
            if verb != "predict":
                raise Refused(INVALID, f"Malformed request: POST {self.path}")
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            signature = request.get("signature_name", "serving_default")
            inputs = {}
            for key, kind in model.types(signature).items():
                if key not in request["inputs"]:
                    raise Refused(INVALID, f"Missing named input: {key} in 'inputs' object.")
                value = np.array(request["inputs"][key])
                if kind.is_integer and value.dtype.kind != "i":
                    raise Refused(INVALID, f"JSON Value: {value} is not of expected type: {kind.name}")
                inputs[key] = value.astype(kind.as_numpy_dtype)
            outputs = {key: value.tolist() for key, value in model.predict(signature, inputs).items()}
            return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}

        def answer(self, method):
            try:
                status, content = 200, method()
            except Refused as refused:
                (status, _), message = refused.args
                content = {"error": message}
            body = json.dumps(content, indent=1).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def GetModelMetadata(self, request, context):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with refusing(context):
            self._model.check_name(request.model_spec.name)
            response.metadata["signature_def"].Pack(
                get_model_metadata_pb2.SignatureDefMap(signature_def=dict(self._model.signature_def)))
        return response

    def Predict(self, request, context):
        with refusing(context):
            self._model.check_name(request.model_spec.name)
            outputs = self._model.predict(request.model_spec.signature_name or "serving_default",
                                          {name: tf.make_ndarray(value) for name, value in request.inputs.items()})
        return predict_pb2.PredictResponse(
            outputs={name: tf.make_tensor_proto(value) for name, value in outputs.items()})


@contextmanager
def refusing(context):
    try:
        yield
    except Refused as refused:
        (_, code), message = refused.args
        context.abort(code, message)


@contextmanager
def serving(folder, name):
    """Serves a SavedModel for as long as the context lasts: the ports of REST and of gRPC."""
    model = Model(folder, name)
    http = ThreadingHTTPServer(("127.0.0.1", 0), rest_handler(model))
    rpc = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(model), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield http.server_port, port
    finally:
        http.shutdown()
        http.server_close()
        rpc.stop(None)
