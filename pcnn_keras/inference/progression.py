"""How the probabilities of hidden pixels sharpen while pixels are drawn (section 5.4, figure 8).

When the pixels D of a completion are drawn, the others follow

    p(x_i | x_D, c) = mean over continuations x of x_D of p(x_i | x_<i, c)

so each stage draws continuations and averages the model's own probabilities over them. The
conditioning stays that of the visible pixels: what is drawn is seen by the prior alone, and in slices by those that
come later, as always.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from pcnn_keras.config import MOST_SAMPLES
from pcnn_keras.data.pixels import as_array
from pcnn_keras.data.slices import slice_of
from pcnn_keras.errors import InputError, expect_whole
from pcnn_keras.inference.inputs import check_images, read_inputs
from pcnn_keras.inference.likelihood import certain_where_visible, teacher_forced
from pcnn_keras.inference.predict import batches
from pcnn_keras.inference.sampling import Request, check_progress, check_seeds, complete, inpaint, occlude
from pcnn_keras.network.model import PixelConstrainedCNN, config_of


class Progression(NamedTuple):
    """Stages of one completion.

    Fields:
        sample: int32 levels `(height, width, channels)`, the completion.
        known: int32 `(stages, height, width, 1)`, 1 = visible or drawn by then.
        probabilities: float32 `(stages, height, width, channels, num_levels)`; one-hot where known.
    """

    sample: np.ndarray
    known: np.ndarray
    probabilities: np.ndarray


def probability_progression(model: PixelConstrainedCNN, image: Any, mask: Any,
                            sample: ArrayLike | None = None, num_stages: int | None = 6, num_continuations: int = 64,
                            seed: int = 0, progress: Callable[[float], None] | None = None) -> Progression:
    """Follows a completion and says what is known of each pixel at stages on the way.

    Args:
        model: a `PixelConstrainedCNN`.
        image, mask: as in `inpaint`, one image.
        sample: the completion to follow, levels `(height, width, channels)`, or None: the first that
            `inpaint` draws with this seed.
        num_stages: at least 2. The first is before anything is drawn, the last when all is; the
            hidden pixels are shared out evenly between them, in the order of drawing. None: a stage for each
            row that has hidden pixels, when it is drawn.
        num_continuations: over how many the probabilities are averaged; their standard error is at
            most 1 / (2 sqrt(num_continuations)).
        seed: from 0 to 2^63 - 1. The continuations have a seed of their own, drawn from it.
        progress: as in `inpaint`.

    Returns:
        `Progression` of all stages, see `progression_stages` for one at a time.

    Raises:
        InputError: if an argument is out of range or does not fit the model, or if Keras does not run on
            TensorFlow.
    """
    stages = list(progression_stages(model, image, mask, sample, num_stages, num_continuations, seed, progress))
    return Progression(stages[0].sample, *(np.stack(field) for field in list(zip(*stages))[1:]))


def progression_stages(model: PixelConstrainedCNN, image: Any, mask: Any,
                       sample: ArrayLike | None = None, num_stages: int | None = 6, num_continuations: int = 64,
                       seed: int = 0, progress: Callable[[float], None] | None = None) -> Iterator[Progression]:
    """Follows a completion stage by stage, and hands out each stage when it is done.

    Args and errors: as `probability_progression`.

    Yields:
        `Progression` of one stage, without the axis of stages.
    """
    if num_stages is not None:
        expect_whole("num_stages", num_stages, 2, 10**6)
    expect_whole("num_continuations", num_continuations, 1, MOST_SAMPLES)
    check_progress(progress)
    seed = int(check_seeds(seed, 1)[0])
    images, masks, _ = read_inputs(config_of(model), image, mask, ("image", "mask"))
    if len(images) != 1:
        raise InputError(f"Expected one image. Received: {len(images)}.")
    if sample is None:
        sample = inpaint(model, images[0], masks[0], 1, seed=seed).samples[0]
    sample = check_images(model.config, as_array("sample", sample)[None], masks, ("sample", "mask"))[0][0]
    if ((sample != images[0]) & (masks[0] == 1)).any():
        raise InputError("`sample` differs from `image` at visible pixels.")
    order = _order(masks[0], model.config.slices)
    if num_stages is None:
        slices = range(model.config.slices**2)
        ends = [slice_of(order[None], k, model.config.slices)[0, :, -1, 0] for k in slices]
        drawn = np.unique([0, *np.concatenate(ends)])  # at the end of each row
    else:
        drawn = np.round(np.linspace(0, order.max(), num_stages)).astype(int)
    occluded = occlude(model, images, masks)
    others = np.random.default_rng(seed).integers(0, 2**63, len(drawn))  # not the noise that the completion had
    for i, count in enumerate(drawn):
        def report(share, i=i):
            if progress:
                progress((i + share) / len(drawn))

        known = np.where(order <= count, 1, masks[0]).astype(np.int32)
        request = Request(num_continuations, 1.0, others[i : i + 1], progress=report)
        so_far = occluded._replace(levels=sample[None], masks=known[None])
        continued = complete(model, so_far, request).samples[0]
        total = 0
        for some, in batches(64, continued):
            visible = np.repeat(masks, len(some), axis=0)
            logits = teacher_forced(model, some, visible, context=occluded.context)["logits"]
            total += ops.sum(ops.softmax(logits), axis=0)
        probabilities = certain_where_visible(total / num_continuations, sample, known)
        yield Progression(sample, known, ops.convert_to_numpy(probabilities))


def _order(mask, slices):
    """When each hidden pixel is drawn: 1, 2, …; at visible ones, as the last hidden one before it."""
    order, done = np.zeros(mask.shape, int), 0
    for k in range(slices**2):
        part = slice_of(mask[None], k, slices)[0]
        slice_of(order[None], k, slices)[0][...] = done + np.cumsum(part == 0).reshape(part.shape)
        done += (part == 0).sum()
    return order
