"""Levels to training batches: images -> masks -> inputs, targets, weights.

A batch is a function of the seed and the step, so that a run can go on where it was stopped: step
s takes images s·B … (s+1)·B - 1 of an endless row of shuffled passes, and its own random masks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pcnn_keras.config import Config
from pcnn_keras.data.blobs import most_masks, random_blob_masks
from pcnn_keras.data.masks import mask_kind, parse_mask
from pcnn_keras.data.pixels import scale
from pcnn_keras.data.slices import network_inputs, slice_of
from pcnn_keras.errors import InputError, reason, shown

MaskFunction = Callable[[int, int, int, tf.Tensor], tf.Tensor]
"""See `check_masks`."""

PROCESSOR = "/CPU:0"

HELD_OUT_SEED = 0
"""Of the blob masks under which held-out images are judged: the same in every run."""


def model_inputs(levels: Any, masks: Any, config: Config, k: int = 0) -> dict:
    """What the model reads of slice k, tensors: see `data.slices.network_inputs`. Args: as `examples`."""
    image = scale(tf.cast(levels, tf.float32), config.num_levels)
    return network_inputs(image, tf.cast(masks, tf.float32), k, config.slices, tf.concat, tf.pad)


def examples(levels: Any, masks: Any, config: Config, k: int = 0) -> tuple[dict, dict, dict]:
    """One batch as Keras trains on it.

    Args:
        levels: int tensor or array `(batch, height, width, channels)`.
        masks: int tensor or array `(batch, height, width, 1)`, 1 = visible.
        config: a `Config`.
        k: which of the slices of each image (see `slices`).

    Returns:
        `(inputs, targets, weights)`: dicts for the model's inputs (float32 in [0, 1]) and, by head,
        the levels to predict (int32) and what counts: 1 at hidden pixels, 0 at visible ones.
    """
    heads = ("logits", "conditional_logits")
    return (model_inputs(levels, masks, config, k),
            dict.fromkeys(heads, slice_of(tf.cast(levels, tf.int32), k, config.slices)),
            dict.fromkeys(heads, 1 - slice_of(tf.cast(masks, tf.float32), k, config.slices)))


def _of_every_slice(levels, masks, config, merge):
    """`examples` of all slices, their parts put together by `merge`, which takes the list of a part's tensors."""
    each = [examples(levels, masks, config, k) for k in range(config.slices**2)]
    return tf.nest.map_structure(lambda *parts: merge(parts), *each)


def training_batches(levels: np.ndarray, config: Config, first_step: int, num_steps: int,
                     mask_device: str | None = None, masks: MaskFunction | None = None) -> tf.data.Dataset:
    """The batches of steps `first_step` … `first_step + num_steps - 1`, masks made on the fly.

    Masks are drawn inside the pipeline, ahead of the model, and for each image one of its slices.

    Args:
        levels: uint8 `(n, height, width, channels)`, all training images.
        config: a `Config`; what it says of images, masks and batches counts.
        mask_device: where masks are drawn, such as "/GPU:0"; by default there if there is one, and
            otherwise on the processor. Where the first batch cannot be made there, one line says so,
            and the processor makes them all.
        masks: draws them in place of `config.masks`; see `check_masks`.

    Returns:
        A `tf.data.Dataset` of what `examples` returns.
    """
    if mask_device is None:
        mask_device = "/GPU:0" if tf.config.list_logical_devices("GPU") else PROCESSOR
    if mask_device != PROCESSOR:
        try:  # TensorFlow promises nothing of devices inside a pipeline
            batches = _batches(levels, config, first_step, num_steps, mask_device, masks)
            for _ in batches.take(1):
                pass
            return batches
        except (tf.errors.OpError, ValueError) as error:
            print(f"Masks cannot be made on {mask_device} ({reason(error)}): the processor makes them.", flush=True)
    return _batches(levels, config, first_step, num_steps, PROCESSOR, masks)


def _batches(levels, config, first_step, num_steps, mask_device, draw):
    with tf.device(PROCESSOR):
        images = tf.constant(levels)

    def batch(step):
        at = step * config.batch_size + tf.range(config.batch_size, dtype=tf.int64)
        image_pass, place = at // len(levels), at % len(levels)
        # tf.random.experimental.index_shuffle, whose wrapper pads a batch of seeds wrongly (2.21).
        halves = tf.constant([config.seed >> 32, config.seed % 2**32, 0], tf.int64)  # 32 bits of each count
        seeds = tf.pad(image_pass[:, None], [(0, 0), (2, 0)]) + halves
        chosen = tf.raw_ops.RandomIndexShuffle(index=place, seed=seeds, max_index=len(levels) - 1, rounds=8)
        return step, tf.gather(images, chosen)

    def masked(step, chosen):
        with tf.device(mask_device):
            seed = tf.stack([tf.constant(config.seed, tf.int64), step])
            if config.augmentation == "flip":
                chosen = _flip_half(chosen, tf.random.experimental.stateless_fold_in(seed, 1))
            masks = draw(*_size(config), seed) if draw else random_masks(config, seed)
            if config.slices == 1:
                return examples(chosen, masks, config)
            k = _choices(config, seed, 3, config.slices**2)
            return _of_every_slice(
                chosen, masks, config, lambda parts: tf.gather_nd(tf.stack(parts, axis=1), k, batch_dims=1))

    steps = tf.data.Dataset.range(first_step, first_step + num_steps)
    return steps.map(batch).map(masked, num_parallel_calls=2).prefetch(4)


def _flip_half(images, seed):
    """The images, each turned left to right or not, both as likely."""
    turned = tf.random.stateless_uniform((len(images), 1, 1, 1), seed) < 0.5
    return tf.where(turned, images[:, :, ::-1], images)


def random_masks(config: Config, seed: tf.Tensor) -> tf.Tensor:
    """A batch of training masks: for each image one of `config.masks`, all as likely.

    Args:
        config: a `Config`; "blobs" without numbers are those of its own settings.
        seed: `(2,)` int64 tensor.

    Returns:
        int32 tensor `(batch_size, height, width, 1)`, 1 = visible.
    """
    batch, height, width = _size(config)
    specs = [config.blobs if spec == "blobs" else spec for spec in config.masks]
    kinds = {spec: mask_kind(spec) for spec in specs}  # each is made once, however often it is named
    masks = {spec: ON_DEVICE[kind.name](batch, height, width, *kind.numbers, seed) if kind.name in ON_DEVICE else
             parse_mask(spec, height, width)(0)[None]  # one for all images: files may be many
             for spec, kind in kinds.items()}
    first = dict(zip(masks, np.cumsum([0, *(each.shape[0] for each in masks.values())])))
    rows = np.stack([first[spec] + np.arange(batch) % masks[spec].shape[0] for spec in specs], axis=1)
    row = tf.gather_nd(rows, _choices(config, seed, 2, len(specs)), batch_dims=1)
    return tf.gather(tf.concat([*masks.values()], axis=0), row)


def _choices(config, seed, use, count):
    """A whole number below `count` for each image; no other `use` of a seed, nor the blobs, has the same bits."""
    own = tf.random.experimental.stateless_fold_in(seed, use)
    return tf.random.stateless_uniform((config.batch_size, 1), own, 0, count, tf.int32)


def check_masks(masks: MaskFunction, config: Config) -> None:
    """Tries a function that draws masks.

    Args:
        masks: of `batch, height, width, seed` to a tensor `(batch, height, width, 1)`, 1 = visible. It is written with
            TensorFlow, and draws from `seed`, an int64 tensor `(2,)`, as `tf.random.stateless_uniform` takes it.
        config: a `Config`.

    Raises:
        InputError: if it gives something else, or something else in a graph, which NumPy's random numbers do.
    """
    seed, shape = tf.constant([config.seed, 0], tf.int64), (*_size(config), 1)
    try:
        drawn = masks(*_size(config), seed)
        again = tf.function(lambda seed: masks(*_size(config), seed))(seed)
    except Exception as error:
        raise InputError(f"`masks` must be a function of `batch, height, width, seed`, written with TensorFlow: "
                         f"{type(error).__name__}: {error}"[:300]) from error
    if not (tf.is_tensor(drawn) and drawn.shape == shape and {*np.unique(drawn)} <= {0, 1}):
        raise InputError(f"`masks` must give a tensor {shape} of 0 and 1. Received: {shown(drawn)}.")
    if not np.array_equal(drawn, again):
        raise InputError("`masks` must draw from `seed` alone: it gave two masks for one seed.")


def _size(config: Config) -> tuple[int, int, int]:
    return config.batch_size, config.height, config.width


def _random_pixels(batch, height, width, share, seed):
    scores = tf.random.stateless_uniform((batch, height * width), seed)
    chosen = tf.math.top_k(scores, round(share * height * width)).indices
    at = tf.stack([tf.broadcast_to(tf.range(batch)[:, None], chosen.shape), chosen], axis=-1)
    return tf.reshape(tf.scatter_nd(at, tf.ones_like(chosen), scores.shape), (batch, height, width, 1))


ON_DEVICE: dict[str, Callable] = {"blobs": random_blob_masks, "random": _random_pixels}
"""What draws random masks of a kind with TensorFlow, on whichever device this is placed."""


def held_out_masks(count: int, config: Config) -> np.ndarray:
    """Blob masks for the first `count` held-out images, the same in every run.

    Returns:
        int32 array `(count, height, width, 1)`, 1 = visible.
    """
    height, width, most = config.height, config.width, config.iter_max
    some = max(1, min(256, most_masks(height, width, config.max_num_blobs, most)))  # mask i depends on no `count`
    return np.concatenate([
        random_blob_masks(some, height, width, config.max_num_blobs, config.iter_min, most,
                          tf.constant([HELD_OUT_SEED, i], tf.int64))
        for i in range(-(-count // some))])[:count]


def held_out_batches(levels: np.ndarray, config: Config, devices: int = 1) -> tf.data.Dataset:
    """Held-out images, each under a blob mask of its own that is the same in every run.

    Args:
        levels: uint8 `(n, height, width, channels)`, n at least `devices`.
        config: as `training_batches`.
        devices: among how many each batch is shared out. They take the elements in turn, and none is
            empty, which TensorFlow's convolutions would not bear.

    Returns:
        A `tf.data.Dataset` of what `examples` returns, `slices**2` of each image; numbers of images differ by one at
        most.
    """
    shares = devices * min(-(-len(levels) // config.batch_size), len(levels) // devices)
    ends = tf.constant(np.arange(shares + 1) * len(levels) // shares)
    levels, masks = tf.constant(levels), tf.constant(held_out_masks(len(levels), config))

    def share(i):
        part = slice(ends[i], ends[i + 1])
        return _of_every_slice(levels[part], masks[part], config, lambda parts: tf.concat(parts, axis=0))

    return tf.data.Dataset.range(shares).map(share).prefetch(2)
