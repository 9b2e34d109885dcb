"""Completions: hidden pixels drawn in raster order from p(x_i | x_<i, c) (section 4.4).

    for each pixel i in raster order, for each channel:
        if hidden:  x_i = argmax over levels of logits_i(x_<i, c) / temperature + noise_i
        else:       x_i stays
"""

import os
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import ArrayLike

from pcnn_keras.config import MOST_SAMPLES
from pcnn_keras.data.pixels import as_array, scale
from pcnn_keras.data.slices import slice_of
from pcnn_keras.errors import InputError, expect_whole, shown
from pcnn_keras.inference import rows
from pcnn_keras.inference.completions import Completions
from pcnn_keras.inference.importance import log_weights, resample
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.inference.likelihood import context_of, nats_of_hidden
from pcnn_keras.inference.noise import gumbel, pixel_positions
from pcnn_keras.inference.predict import expect_finite
from pcnn_keras.network.backend import expect_tensorflow
from pcnn_keras.network.model import PixelConstrainedCNN, build_model, config_of

SAMPLERS = ("fast", "raster")

MOST_TEMPERATURE = float(np.finfo(np.float32).max)


def inpaint(model: PixelConstrainedCNN, image: Any, mask: Any, num_samples: int = 16,
            temperature: float = 1.0, seed: ArrayLike = 0, sampler: str = "fast", batch_size: int | None = None,
            progress: Callable[[float], None] | None = None, first: int = 0,
            candidates: int | None = None) -> Completions:
    """Draws completions of an image, or of a batch of images.

    Args:
        model: a `PixelConstrainedCNN`.
        image: levels 0 … num_levels - 1, `(height, width, channels)`, `(height, width)` if grey, or
            `(batch, height, width, channels)`; or a path, a PIL image, what `prepare_digit` gives, or a list of
            these, cropped around the centre. What stands at hidden pixels does not matter, as long as it is a level.
        mask: `(height, width, 1)` or `(height, width)`, 1 = visible, for all images, or
            `(batch, height, width, 1)`; or a specification as `parse_mask` takes it, a path, a PIL image, or a
            list of these. Image i has a random mask of seed i. A mask of a picture's own size goes its way.
        num_samples: completions of each image, 1 to `MOST_SAMPLES`.
        temperature: at least 0. Below 1 draws likelier levels more often; 0 takes the likeliest.
        seed: from 0 to 2^63 - 1, or one for each image, `(batch,)`; one for all gives all the same noise. The
            same seed gives the same completions; completion k is the same however many are asked for.
        sampler: "fast", a row at a time (see `rows`), or "raster", one pixel at a time: the same draws.
        batch_size: most completions that a core, or a GPU, draws at a time; memory grows with it,
            and nothing else depends on it. By default 32, on a GPU 256, with "raster" 64.
        progress: None, or a function that is called now and then with the share that is drawn, 0 to 1.
        candidates: None, or how many completions to draw, with the same noise as ever, of which
            `num_samples` are kept by importance (see `importance`): for many candidates draws from the
            model's joint distribution given what is visible. Only at temperature 1.
        first: number of the first completion, below 2^31 - num_samples: with 16, those that follow the first 16.

    Returns:
        `Completions` in draw order.

    Raises:
        InputError: if an argument is out of range or does not fit the model, or if Keras does not run on
            TensorFlow, which the fast sampler needs.
    """
    images, masks, single = read_inputs(config_of(model), image, mask, ("image", "mask"))
    num_samples = expect_whole("num_samples", num_samples, 1, MOST_SAMPLES)
    if candidates is not None:
        candidates = expect_whole("candidates", candidates, num_samples, MOST_SAMPLES)
    drawn = candidates or num_samples
    first = expect_whole("first", first, 0, 2**31 - 1 - drawn)
    if batch_size is not None:
        batch_size = expect_whole("batch_size", batch_size, 1, 2**31 - 1)
    temperature = _check_temperature(temperature)
    if candidates is not None and temperature != 1:
        raise InputError(f"`candidates` are weighed as draws at temperature 1. Received: temperature {temperature:g}.")
    if sampler not in SAMPLERS:
        raise InputError(f"`sampler` must be one of {', '.join(SAMPLERS)}. Received: {shown(sampler)}.")
    check_progress(progress)
    request = Request(drawn, temperature, check_seeds(seed, len(images)), sampler, batch_size, progress, first)
    result = complete(model, occlude(model, images, masks), request)
    if candidates:
        result = resample(result, log_weights(model, result), request.seeds, num_samples)
    return Completions(*(field[0] for field in result)) if single else result


class Request(NamedTuple):
    """What is asked for, checked: see `inpaint`. `seeds` is int64 `(batch,)`."""

    num_samples: int
    temperature: float
    seeds: np.ndarray
    sampler: str = "fast"
    batch_size: int | None = None
    progress: Callable[[float], None] | None = None
    first: int = 0


class Occluded(NamedTuple):
    """Images of which hidden pixels are to be drawn. See `occlude`.

    Fields:
        levels: int32 `(m, height, width, channels)`.
        masks: int32 `(m, height, width, 1)`, 0 where pixels are to be drawn.
        visible: of the same form, 1 where the conditioning network sees them: where fewer are than need
            not be drawn, completions are continuations of what is drawn so far.
        context: of `context_of`, for what is visible, of the first slice.
    """

    levels: np.ndarray
    masks: np.ndarray
    visible: np.ndarray
    context: dict

    def take(self, index):
        """Some of the images."""
        return Occluded(*tree.map_structure(lambda x: x[index], tuple(self)))


def occlude(model, images, masks):
    """The `Occluded` of checked arrays, as `inpaint` has them, with a batch axis; runs the conditioning network."""
    return Occluded(images, masks, masks, context_of(model, images, masks))


def complete(model, occluded, request):
    """What `inpaint` does: `Completions` of the batch of an `Occluded`, as a `Request` asks for."""
    if request.sampler == "fast":
        expect_tensorflow("The fast sampler")
    levels = occluded.levels
    number = np.arange(len(levels) * request.num_samples)  # one for each completion to be drawn
    image_of, completion = number // request.num_samples, request.first + number % request.num_samples
    workers, most = _workers(request.sampler)
    size = min(request.batch_size or most, max(8, -(-len(number) // workers)))
    draw_chunk = _fast if request.sampler == "fast" else _raster
    copies = _on_each_device(model) if request.sampler == "fast" else [(None, model)]
    done, lock = {}, Lock()

    def draw_from(start):
        device, model = copies[start // size % len(copies)]
        part = slice(start, start + size)
        of = image_of[part]
        images = slice(of[0], of[-1] + 1)

        def report(share):
            if request.progress:
                with lock:
                    done[start] = share * len(of)
                    request.progress(sum(done.values()) / len(number))

        with tf.device(device):
            return draw_chunk(model, occluded.take(images), of - of[0], request.seeds[of], completion[part],
                              np.float32(request.temperature), report)

    samples = np.empty((len(number), *levels.shape[1:]), np.int32)
    likelihood = np.empty(len(number), np.float32)
    with ThreadPoolExecutor(workers) as pool:
        starts = range(0, len(number), size)
        for start, drawn in zip(starts, pool.map(draw_from, starts)):
            samples[start : start + size], likelihood[start : start + size] = drawn
    expect_finite(likelihood)
    shape = (len(levels), request.num_samples)
    return Completions(samples.reshape(*shape, *levels.shape[1:]), likelihood.reshape(shape),
                       completion.reshape(shape).astype(np.int32))


def _check_temperature(temperature):
    """`inpaint`'s `temperature` as a float."""
    try:
        number = isinstance(temperature, Real) and not isinstance(temperature, bool)
        if number and 0 <= float(temperature) <= MOST_TEMPERATURE:
            return float(temperature)
    except OverflowError:  # of a whole number
        pass
    raise InputError(f"`temperature` must be a number from 0 up. Received: {shown(temperature)}.")


def check_seeds(seed, batch):
    """`inpaint`'s `seed` as int64 `(batch,)`."""
    seeds = as_array("seed", seed)
    if seeds.dtype.kind not in "iu" or seeds.shape not in ((), (batch,)) or (seeds < 0).any() \
            or (seeds > 2**63 - 1).any():
        raise InputError("`seed` must be a whole number from 0 to 2^63 - 1, or one for each image. "
                         f"Received: {shown(seed)}.")
    return np.broadcast_to(seeds.astype(np.int64), (batch,))


def check_progress(progress):
    """An `InputError` if `inpaint`'s `progress` cannot be called."""
    if progress is not None and not callable(progress):
        raise InputError(f"`progress` must be a function or None. Received: {shown(progress)}.")


def _workers(sampler):
    """How many threads draw, and how many completions each draws at a time at most.

    The operations on one row are too small to keep several cores busy: each core draws its own, and
    so does each GPU.
    """
    if sampler == "raster":
        return 1, 64
    gpus = len(tf.config.list_logical_devices("GPU"))
    if gpus:
        return gpus, 256
    own = getattr(os, "sched_getaffinity", None)  # of the cores, those that this process may use
    return len(own(0)) if own else os.cpu_count(), rows.CHUNK


_copies: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # of models, on devices after the first


def _on_each_device(model):
    """Pairs of device and model: the model itself on the first device, a copy with its weights on each other one."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    others = [device.name for device in devices[1:] if not device.name.startswith("/job:")]  # of another machine
    if others and model not in _copies:
        copies = []
        for device in others:
            with tf.device(device):
                copies.append((device, build_model(model.config)))
        _copies[model] = copies
    pairs = [(f"/device:{devices[0].device_type}:0", model), *_copies.get(model, [])]
    for _, copy in pairs[1:]:
        copy.set_weights(model.get_weights())
    for _, each in pairs:
        row_sampler(each)  # before threads ask for it
    return pairs


_samplers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # of models


def row_sampler(model):
    """The model's compiled `rows.sampler`, made once."""
    if model not in _samplers:
        _samplers[model] = rows.sampler(model)
    return _samplers[model]


def _fast(model, occluded, image_of, seeds, completions, temperature, report):
    drawn, nats = row_sampler(model)(*occluded, image_of.astype(np.int32), seeds, completions, temperature)
    report(1)
    return drawn.numpy(), nats.numpy()


def _raster(model, occluded, image_of, seeds, completions, temperature, report):
    """Slice after slice, pixel after pixel, for each completion; the oracle that anything faster is held against."""
    config, slices = model.config, model.config.slices
    levels, masks, visible, _ = occluded.take(image_of)
    hidden = masks[..., 0] == 0
    levels = np.where(masks == 1, levels, 0)
    noise = gumbel(tf.constant(seeds), tf.constant(completions), pixel_positions(config))
    noise = rows.temper(noise, temperature).numpy()
    done = 0
    for k in range(slices**2):
        part, open_, held = (slice_of(x, k, slices) for x in (levels, hidden, noise))  # views: drawing fills `levels`
        pixels = np.argwhere(open_.any(axis=0))
        context = context_of(model, levels, visible, k) if len(pixels) else {}
        for row, column in pixels:
            for channel in range(config.channels):
                image = scale(part.astype(np.float32), config.num_levels)
                at = (slice(None), row, column, channel)
                logits = model.decoder.predict_on_batch({"image": image, **context})[at]
                part[at] = np.where(open_[:, row, column], rows.gumbel_max(logits, held[at]).numpy(), part[at])
            done += 1
            report(done / hidden.any(axis=0).sum())
    return levels, nats_of_hidden(model, levels, masks)
