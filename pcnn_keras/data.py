"""Data sets to bytes, and levels to training batches: images -> masks -> inputs, targets, weights.

A batch is a function of the seed and the step, so that a run can go on where it was stopped: step
s takes images s·B … (s+1)·B - 1 of an endless row of shuffled passes, and its own blob masks.
"""

import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from pcnn_keras.errors import InputError
from pcnn_keras.images import SUFFIXES, convert, list_images, read_image, resize
from pcnn_keras.masks import mask_batch, random_blob_masks
from pcnn_keras.pixels import conditioning_input, quantize, scale

LARGEST_SIDE = 64
"""Larger images need `size`: they are drawn one pixel after the other."""

HELD_OUT_SEED = 0
"""Of the blob masks under which held-out images are judged: the same in every run."""


class Images(NamedTuple):
    """Three arrays: bytes or levels, uint8 `(n, height, width, channels)`, or classes, ints `(n,)`."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def load_images(dataset, data_dir=None, size=None, grayscale=False):
    """Reads a data set into memory, as bytes 0 … 255.

    Splits never change. Test is the official test split; where there is none, every tenth image.
    Validation is the last tenth of what is left for training, 5,000 images at most.

    Args:
        dataset: "digits" (scikit-learn's own, no network), "folder" (with `data_dir`), "celeba"
            (TFDS `celeb_a`, or a folder of aligned JPEGs), or the name of a TFDS image set.
        data_dir: the folder of images, or where TFDS keeps its sets.
        size: side in pixels to bring images to, or None: 32 for celeba, otherwise as they are.
            Centre crop to a square (celeba: of half the image's width), then a filtered resize.
        grayscale: True to turn colour into grey.

    Returns:
        `Images`.

    Raises:
        InputError: if the set is unknown, too small, of mixed or large sizes without `size`, or
            neither prepared nor within reach.
    """
    if dataset == "celeba":
        size = size or 32

    def prepare(image):
        if grayscale:
            image = convert(image, 1)
        if dataset == "celeba":
            image = resize(image, size, size, crop=(image.shape[1] + 1) // 2)
        elif size:
            image = resize(image, size, size)
        elif max(image.shape[:2]) > LARGEST_SIDE:
            raise InputError(f"The images of {dataset!r} are {image.shape[1]} x {image.shape[0]} pixels: "
                             f"above {LARGEST_SIDE} a side, --size is needed.")
        return image

    if dataset == "digits":
        train, test = _digits(prepare), None
    elif dataset == "folder" or (dataset == "celeba" and _holds_images(data_dir)):
        train, test = _folder(data_dir, prepare), None
    else:
        train, test = _tfds({"celeba": "celeb_a"}.get(dataset, dataset), data_dir, "image", prepare)
    return _split(dataset, train, test)


def load_labels(dataset, data_dir=None):
    """The classes of the images that `load_images` gives, in the same order.

    Args and errors: as `load_images`.

    Returns:
        `Images` of ints `(n,)`, or None if the set has no classes.
    """
    if dataset == "digits":
        return _split(dataset, _sklearn_digits().target, None)
    if dataset in ("folder", "celeba"):
        return None
    train, test = _tfds(dataset, data_dir, "label", np.asarray)
    return None if train is None else _split(dataset, train, test)


def _split(dataset, train, test):
    if test is None:
        is_test = np.arange(len(train)) % 10 == 9
        train, test = train[~is_test], train[is_test]
    held_out = min(len(train) // 10, 5000)
    if not held_out or not len(test):
        raise InputError(f"{dataset!r} has too few images to be split in three: at least 11 are needed.")
    return Images(train[:-held_out], train[-held_out:], test)


def load_model_images(config, dataset=None, data_dir=None):
    """Levels of a data set, as a model's config has them.

    Args:
        config: the model's `Config`; images are made grey for a grey model, and brought to its side.
        dataset: as `load_images`, or None: the model's own.
        data_dir: as `load_images`.

    Returns:
        `Images` of levels.

    Raises:
        InputError: as `load_images`, and if the images do not fit the model.
    """
    dataset = dataset or config.dataset
    shape = (config.height, config.width, config.channels)
    side = config.height if config.height == config.width else None
    images = load_images(dataset, data_dir, side, grayscale=config.channels == 1)
    if images.test.shape[1:] != shape:
        raise InputError(f"The images of {dataset!r} are of shape {images.test.shape[1:]}, the model's of {shape}.")
    return Images(*(quantize(part, config.num_levels) for part in images))


def _sklearn_digits():
    from sklearn.datasets import load_digits

    return load_digits()


def _digits(prepare):
    images = (_sklearn_digits().images * (255 / 16)).round().astype(np.uint8)[..., None]
    return np.stack([prepare(image) for image in images])


def _holds_images(folder):
    return folder is not None and os.path.isdir(folder) and any(
        name.lower().endswith(SUFFIXES) for name in os.listdir(folder))


def _folder(folder, prepare):
    if folder is None:
        raise InputError("The data set 'folder' needs --data-dir: a folder of images.")
    paths = list_images(folder)
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        images = list(pool.map(lambda path: prepare(read_image(path)), paths))
    channels = max(image.shape[-1] for image in images)
    return _stack([convert(image, channels) for image in images], folder)


def _stack(images, name):
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise InputError(f"The images of {name!r} differ in size: --size is needed.")
    return np.stack(images)


def _tfds(name, data_dir, feature, prepare):
    """A feature ("image" or "label") of train and of test (or None) of a TFDS image set; None, None without labels."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import naming

    try:
        if naming.parse_builder_name_kwargs(name)[0].namespace:
            raise ValueError("of another hub, which would be asked over the network")
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError, ImportError):
        raise InputError(f"Unknown data set {name!r}: not one of digits, folder, celeba, "
                         "nor an image set of tensorflow_datasets.") from None
    unfit = InputError(f"{name!r} is not a set of images with a 'train' split.")
    if "image" not in (builder.info.features or ()):
        raise unfit
    if not builder.is_prepared():
        _download(builder, data_dir)
    if "train" not in builder.info.splits:
        raise unfit
    if feature not in builder.info.features:
        return None, None
    wanted = tfds.decode.PartialDecoding({feature: True})

    def read(split):
        decoded = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, decoders=wanted))
        values = (example[feature] for example in decoded)
        some = list(islice(values, 100))
        values = chain(some, values)
        if feature == "image" and max(map(np.max, some)) <= 1:  # such as binarized_mnist
            values = (np.uint8(255) * image for image in values)
        return _stack([prepare(value) for value in values], name)

    return read("train"), read("test") if "test" in builder.info.splits else None


def _download(builder, data_dir):
    where = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    advice = (f"The data set {builder.name!r} is not prepared in {where} and {{}}: give the folder of a "
              "prepared one with --data-dir or TFDS_DATA_DIR, or use --dataset digits.")
    try:  # TFDS itself would retry for minutes
        urllib.request.urlopen("https://storage.googleapis.com", timeout=5).close()
    except urllib.error.HTTPError:
        pass  # it answered
    except OSError:
        raise InputError(advice.format("cannot be downloaded (no network)")) from None
    try:
        builder.download_and_prepare()
    except Exception as error:  # quotas, checksums, disks: whatever the set's own script raises
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(advice.format(f"could not be downloaded ({reason})")) from error


def examples(levels, masks, num_levels):
    """One batch as Keras trains on it.

    Args:
        levels: int tensor or array `(batch, height, width, channels)`.
        masks: int tensor or array `(batch, height, width, 1)`, 1 = visible.
        num_levels: of the levels.

    Returns:
        `(inputs, targets, weights)`: dicts for the model's inputs (float32 in [0, 1]) and, by head,
        the levels to predict (int32) and what counts: 1 at hidden pixels, 0 at visible ones.
    """
    import tensorflow as tf

    levels = tf.cast(levels, tf.int32)
    masks = tf.cast(masks, tf.float32)
    image = scale(tf.cast(levels, tf.float32), num_levels)
    inputs = {"image": image, "conditioning": conditioning_input(image, masks, tf.concat)}
    heads = ("logits", "conditional_logits")
    return inputs, dict.fromkeys(heads, levels), dict.fromkeys(heads, 1 - masks)


def training_batches(levels, config, first_step, num_steps, mask_device=None):
    """The batches of steps `first_step` … `first_step + num_steps - 1`, masks made on the fly.

    Masks are drawn inside the pipeline, ahead of the model.

    Args:
        levels: uint8 `(n, height, width, channels)`, all training images.
        config: a `Config`; `batch_size`, `seed`, `num_levels` and the blobs' numbers count.
        mask_device: where masks are drawn, such as "/GPU:0"; by default there if there is one, and
            otherwise on the processor.

    Returns:
        A `tf.data.Dataset` of what `examples` returns.
    """
    import tensorflow as tf

    if mask_device is None:
        mask_device = "/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0"
    with tf.device("/CPU:0"):
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
            masks = random_masks(config, tf.stack([tf.constant(config.seed, tf.int64), step]))
            return examples(chosen, masks, config.num_levels)

    steps = tf.data.Dataset.range(first_step, first_step + num_steps)
    return steps.map(batch).map(masked, num_parallel_calls=2).prefetch(4)


def random_masks(config, seed):
    """A batch of training masks: for each image one of `config.masks`, all as likely.

    Args:
        config: a `Config`; "blobs" without numbers are those of its own settings.
        seed: `(2,)` int64 tensor.

    Returns:
        int32 tensor `(batch_size, height, width, 1)`, 1 = visible.
    """
    import tensorflow as tf

    size = (config.batch_size, config.height, config.width)
    specs = [config.blobs if spec == "blobs" else spec for spec in config.masks]
    kinds = [mask_batch(spec, *size, seed=seed) for spec in specs]
    if len(kinds) == 1:
        return kinds[0]
    choice = tf.random.stateless_uniform((config.batch_size,), tf.random.split(seed)[0], 0, len(kinds), tf.int32)
    return tf.gather_nd(tf.stack(kinds, axis=1), choice[:, None], batch_dims=1)


def held_out_masks(count, config):
    """Blob masks for the first `count` held-out images, the same in every run.

    Returns:
        int32 array `(count, height, width, 1)`, 1 = visible.
    """
    import tensorflow as tf

    size = 256  # mask i does not depend on `count`
    return np.concatenate([
        random_blob_masks(size, config.height, config.width, *config.blob_settings,
                          seed=tf.constant([HELD_OUT_SEED, i], tf.int64)).numpy()
        for i in range(-(-count // size))])[:count]


def held_out_batches(levels, config, devices=1):
    """Held-out images, each under a blob mask of its own that is the same in every run.

    Args:
        levels: uint8 `(n, height, width, channels)`, n at least `devices`.
        config: as `training_batches`.
        devices: among how many each batch is shared out. They take the elements in turn, and none is
            empty, which TensorFlow's convolutions would not bear.

    Returns:
        A `tf.data.Dataset` of what `examples` returns, of sizes that differ by one at most.
    """
    import tensorflow as tf

    shares = devices * min(-(-len(levels) // config.batch_size), len(levels) // devices)
    ends = tf.constant(np.arange(shares + 1) * len(levels) // shares)
    levels, masks = tf.constant(levels), tf.constant(held_out_masks(len(levels), config))

    def share(i):
        part = slice(ends[i], ends[i + 1])
        return examples(levels[part], masks[part], config.num_levels)

    return tf.data.Dataset.range(shares).map(share).prefetch(2)
