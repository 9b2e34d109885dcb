"""A SavedModel for TF Serving: three signatures, plain TensorFlow ops, loadable without this package.

    inpaint (also serving_default)   image, mask, num_samples, temperature, seed -> samples, log_likelihood, draw
    log_likelihood                   image, mask -> log_likelihood
    pixel_probabilities              image, mask -> probabilities

Every input is checked inside the graph: what does not fit is an INVALID_ARGUMENT error that says so.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pcnn_keras.data.pipeline import model_inputs
from pcnn_keras.data.slices import join
from pcnn_keras.export.warm_up import write_warm_up
from pcnn_keras.files import output_folder, unwritable
from pcnn_keras.inference.likelihood import certain_where_visible, log_likelihood, score
from pcnn_keras.inference.rows import CHUNK
from pcnn_keras.inference.sampling import row_sampler
from pcnn_keras.network.backend import expect_tensorflow, single_precision
from pcnn_keras.network.model import PixelConstrainedCNN, config_of

MOST_DRAWS = 4096
"""Most completions in one request, over all its images."""

LANES = 4
"""Parts of a request that are drawn side by side."""


def signatures(model):
    """The functions behind the signatures, with their input signatures: {name: (function, specs)}.

    Shapes and types as in the module's docstring: images int32 `(b, height, width, channels)` of
    levels, masks int32 `(b, height, width, 1)`; `num_samples` int32, `temperature` float32 and `seed`
    int64 are scalars. `samples` int32 `(b, num_samples, height, width, channels)`, most likely first,
    with their `log_likelihood` float32 and `draw` int32 `(b, num_samples)`.
    """
    config = model.config
    size, highest = (config.height, config.width), config.num_levels - 1
    image_spec = tf.TensorSpec((None, *size, config.channels), tf.int32, name="image")
    mask_spec = tf.TensorSpec((None, *size, 1), tf.int32, name="mask")

    def checked(image, mask, *conditions):
        """Image and mask, once all values are as expected."""
        with tf.control_dependencies([
                _expect((image >= 0) & (image <= highest), f"image: expected levels from 0 to {highest}"),
                _expect((mask == 0) | (mask == 1), "mask: expected 0 (hidden) or 1 (visible)"),
                _expect(tf.shape(image)[0] >= 1, "image: expected at least one"),
                _expect(tf.shape(image)[0] == tf.shape(mask)[0], "image and mask: expected as many of each"),
                *(_expect(*condition) for condition in conditions)]):
            return tf.identity(image), tf.identity(mask)

    def of_logits(function, shape, image, mask):
        """A function of logits, images and masks, `CHUNK` images at a time: many would fill the server's memory."""
        def of_some(numbers):
            x, m = tf.gather(image, numbers), tf.gather(mask, numbers)
            logits = [model(model_inputs(x, m, config, k))["logits"] for k in range(config.slices**2)]
            return [function(join(logits, config.slices), x, m)]

        return _in_chunks(of_some, 0, tf.shape(image)[0], [(tf.float32, shape)])[0]

    def inpaint(image, mask, num_samples, temperature, seed):
        image, mask, num_samples, temperature, seed = _shaped(
            image=image, mask=mask, num_samples=num_samples, temperature=temperature, seed=seed)
        image, mask = checked(
            image, mask, (num_samples >= 1, "num_samples: expected at least 1"),
            (tf.math.is_finite(temperature) & (temperature >= 0), "temperature: expected a number from 0 up"),
            (seed >= 0, "seed: expected a whole number from 0 up"),
            (tf.cast(tf.shape(image)[0], tf.int64) * tf.cast(num_samples, tf.int64) <= MOST_DRAWS,
             f"images times num_samples: expected at most {MOST_DRAWS}"))
        total = tf.shape(image)[0] * num_samples
        share = tf.maximum(8, (total + LANES - 1) // LANES)

        def draw(number):
            """Of completions by their numbers over all images; only of their images is the context kept in memory."""
            of, completion = number // num_samples, number % num_samples
            x, m = (some[of[0] : of[-1] + 1] for some in (image, mask))
            context = model.conditioner(model_inputs(x, m, config)["conditioning"])
            return row_sampler(model)(x, m, m, context, of - of[0], tf.fill(tf.shape(of), seed),
                                      tf.cast(completion, tf.int64), temperature)

        lanes = [_in_chunks(draw, tf.minimum(lane * share, total), tf.minimum((lane + 1) * share, total),
                            [(tf.int32, image.shape[1:]), (tf.float32, ())]) for lane in range(LANES)]
        samples, nats = (tf.concat(parts, axis=0) for parts in zip(*lanes))
        shape = tf.stack([tf.shape(image)[0], num_samples])
        samples = tf.reshape(samples, tf.concat([shape, tf.shape(image)[1:]], axis=0))
        nats = tf.reshape(nats, shape)
        draw = tf.argsort(-nats, axis=-1, stable=True)
        return {"samples": tf.gather(samples, draw, batch_dims=1), "draw": draw,
                "log_likelihood": tf.gather(nats, draw, batch_dims=1)}

    def log_likelihood(image, mask):
        image, mask = checked(*_shaped(image=image, mask=mask))
        return {"log_likelihood": of_logits(score, (), image, mask)}

    def pixel_probabilities(image, mask):
        image, mask = checked(*_shaped(image=image, mask=mask))
        return {"probabilities": of_logits(
            lambda logits, x, m: certain_where_visible(tf.nn.softmax(logits), x, m),
            (*size, config.channels, config.num_levels), image, mask)}

    scalars = [tf.TensorSpec((), tf.int32, name="num_samples"), tf.TensorSpec((), tf.float32, name="temperature"),
               tf.TensorSpec((), tf.int64, name="seed")]
    return {"inpaint": (inpaint, [image_spec, mask_spec, *scalars]),
            "log_likelihood": (log_likelihood, [image_spec, mask_spec]),
            "pixel_probabilities": (pixel_probabilities, [image_spec, mask_spec])}


def _in_chunks(function, start, stop, outputs):
    """What a function makes of whole numbers from `start` to `stop`, `CHUNK` at a time, one chunk after the other.

    Args:
        outputs: type and shape of each of its outputs, but for the first axis.
    """
    def chunk(start, *arrays):
        made = function(tf.range(start, tf.minimum(start + CHUNK, stop)))
        return start + CHUNK, *(array.write(array.size(), part) for array, part in zip(arrays, made))

    arrays = [tf.TensorArray(kind, 0, dynamic_size=True, infer_shape=False, element_shape=(None, *shape))
              for kind, shape in outputs]
    _, *arrays = tf.while_loop(lambda start, *_: start < stop, chunk, (start, *arrays), parallel_iterations=1)
    return [array.concat() for array in arrays]


def _expect(fine, message):
    return tf.debugging.Assert(tf.reduce_all(fine), [message], summarize=1)


def _shaped(**inputs):
    """The inputs, once all their shapes are as expected: TF Serving holds none against the signature's."""
    with tf.control_dependencies([_expect(_has_its_shape(x), f"{name}: expected {_form(x.shape)}")
                                  for name, x in inputs.items()]):
        return [tf.identity(x) for x in inputs.values()]


def _has_its_shape(x):
    given = tf.io.parse_tensor(tf.io.serialize_tensor(x), x.dtype)  # hides what the signature says of its shape
    found = tf.concat([[tf.rank(given)], tf.shape(given)[1:]], axis=0)
    same = tf.raw_ops.Equal(x=found, y=[x.shape.rank, *x.shape[1:]], incompatible_shape_error=False)
    return tf.reshape(same, [-1])  # one False if the ranks differ


def _form(shape):
    return f"shape (batch, {', '.join(map(str, shape[1:]))})" if shape.rank else "a single number"


@single_precision()
def export(model: PixelConstrainedCNN, folder: Path | str) -> Path:
    """Writes the next version of a model, as TF Serving expects it: `folder/1/`, then `folder/2/` and so on.

    A server that runs goes over to it by itself. With it come warm-up requests, which the server answers before it says
    that the model is ready.

    Returns:
        The version's folder.

    Raises:
        InputError: if the folder cannot be written, if the model's weights overflow, or if Keras does not run on
            TensorFlow.
    """
    expect_tensorflow("A SavedModel")
    config = config_of(model)
    nothing = np.zeros((1, config.height, config.width, config.channels), np.int32)
    log_likelihood(model, nothing, nothing[..., :1])

    there = [int(path.name) for path in Path(folder).glob("[0-9]*") if path.name.isdecimal()]
    target = Path(folder) / str(max(there, default=0) + 1)
    try:
        with output_folder(folder), tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as own:
            aside = Path(own) / target.name  # what a server would read is whole
            archive, endpoints = keras.export.ExportArchive(), signatures(model)
            for name, (function, specs) in endpoints.items():
                archive.add_endpoint(name, function, input_signature=specs)
            archive.write_out(aside, verbose=False)
            write_warm_up(aside / "assets.extra" / "tf_serving_warmup_requests", _first_requests(endpoints))
            aside.rename(target)
    except (OSError, tf.errors.OpError) as error:
        raise unwritable(folder, error) from error
    return target


def _first_requests(endpoints):
    """A request for each signature: everything hidden, one completion."""
    requests = {name: {spec.name: np.full([side or 1 for side in spec.shape], 0 if spec.shape.rank else 1,
                                          spec.dtype.as_numpy_dtype) for spec in specs}
                for name, (_, specs) in endpoints.items()}
    return {**requests, "serving_default": requests["inpaint"]}
