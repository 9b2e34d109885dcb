"""Warm-up requests: TF Serving answers them before it says that the model is ready, so that no user waits for it.

The file holds a TFRecord of `PredictionLog` for each request. These messages are defined in the
package `tensorflow-serving-api`, which nothing else here needs, and consist of strings and other
messages alone (https://protobuf.dev/programming-guides/encoding):

    PredictionLog { predict_log = 6 { request = 1 {
        model_spec = 1 { signature_name = 3 }
        inputs = 2 { key = 1  value = 2 }           for each input; the value is a TensorProto
    } } }
"""

import tensorflow as tf


def write_warm_up(path, requests):
    """Writes a file of requests for the predict service; its folder is made.

    Args:
        path: `assets.extra/tf_serving_warmup_requests` inside the SavedModel.
        requests: `{signature: {input: NumPy array}}`, of the types that the signature takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = _field(1, _field(3, signature.encode()))
            for name, value in inputs.items():
                request += _field(2, _field(1, name.encode())
                                  + _field(2, tf.make_tensor_proto(value).SerializeToString()))
            writer.write(_field(6, _field(1, request)))


def _field(number, content):
    """A protobuf field of a string or a message: number, length in groups of seven bits, content."""
    head, length = [number << 3 | 2], len(content)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + content
