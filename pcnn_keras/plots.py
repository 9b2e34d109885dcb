"""Pictures: grids of completions with their likelihoods, and curves of a training run."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure  # not pyplot: a notebook's own figures stay as they are
from matplotlib.patches import Rectangle

from pcnn_keras.files import replacing
from pcnn_keras.pixels import to_bytes

HIDDEN = (70, 105, 160)
"""The colour of pixels that the model does not see: neither black nor white, so never ambiguous."""


def occluded(image, mask, num_levels):
    """The image as the model sees it: RGB bytes `(height, width, 3)`, hidden pixels in blue."""
    shown = np.broadcast_to(to_bytes(image, num_levels), (*image.shape[:2], 3))
    return np.where(mask == 1, shown, np.array(HIDDEN, np.uint8))


def bar_lengths(log_likelihood):
    """How full the bars of an image's completions are: 1 for the likeliest, 0 for the least likely, `(k,)`."""
    low, high = (log_likelihood.min(), log_likelihood.max()) if len(log_likelihood) else (0, 0)
    return (log_likelihood - low) / (high - low) if high > low else np.ones(len(log_likelihood))


def probability_map(probabilities, sample, mask, num_levels):
    """How likely the model found each hidden pixel of a completion: RGB bytes `(height, width, 3)`.

    Args:
        probabilities: `(height, width, channels, num_levels)`, as `likelihood.pixel_probabilities` gives them.
        sample: levels `(height, width, channels)`; the mean over the channels is shown, in `probability_colours`.
        mask: `(height, width, 1)`; visible pixels are shown as they are.
    """
    likely = np.take_along_axis(probabilities, sample[..., None], axis=-1)[..., 0].mean(axis=-1)
    return np.where(mask == 1, to_bytes(sample, num_levels), probability_colours(likely))


def probability_colours(values):
    """Numbers from 0 to 1 as RGB bytes `(…, 3)`: none of them is black, white or grey."""
    return colormaps["plasma_r"](values, bytes=True)[..., :3]


def expected_level(probabilities):
    """Expected brightness of each pixel: uint8 `(…, height, width, channels)` from `(…, channels, num_levels)`."""
    num_levels = probabilities.shape[-1]
    return (probabilities @ np.arange(num_levels) * (255 / (num_levels - 1))).round().astype(np.uint8)


def completion_grid(path, images, masks, samples, log_likelihood, num_levels, original=False, titles=()):
    """Saves a picture: a row for each image, the occluded image first, then its completions.

    Under each completion stands its log-likelihood in nats and a bar: full for the row's likeliest,
    empty for its least likely.

    Args:
        path: PNG file to write.
        images, masks: levels `(n, height, width, channels)` and masks `(n, height, width, 1)`.
        samples: list of n arrays of levels `(k, height, width, channels)`; k may differ.
        log_likelihood: list of n arrays `(k,)`, nats.
        original: True to show the whole image before the occluded one.
        titles: what stands above the columns of completions.
    """
    first = 2 if original else 1
    figure, axes = _grid(len(images), first + max(len(row) for row in samples), 1.5)
    for i, row in enumerate(axes):
        if original:
            _show(row[0], to_bytes(images[i], num_levels), "" if i else "image")
        _show(row[first - 1], occluded(images[i], masks[i], num_levels), "" if i else "visible")
        lengths = bar_lengths(log_likelihood[i])
        for axis, sample, nats, length in zip(row[first:], samples[i], log_likelihood[i], lengths):
            _show(axis, to_bytes(sample, num_levels))
            axis.text(0.5, -0.06, f"{nats:.1f}", transform=axis.transAxes, ha="center", va="top", fontsize=7)
            for width, colour in ((1.0, "0.88"), (length, "tab:blue")):
                axis.add_patch(Rectangle((0, -0.3), width, 0.06, transform=axis.transAxes,
                                             color=colour, linewidth=0, clip_on=False))
    for axis, title in zip(axes[0, first:], titles):
        axis.set_title(title, fontsize=8, pad=3)
    _save(figure, path)


def progression_grid(path, images, masks, progressions):
    """Saves a picture: a row for each image, how its pixels' probabilities sharpen as they are drawn.

    The occluded image first, then the stages of one completion: where a pixel is not drawn yet, its
    expected level (grey with 2 levels: black is surely 0, white surely 1).

    Args:
        path: PNG file to write.
        images, masks: levels `(n, height, width, channels)` and masks `(n, height, width, 1)`.
        progressions: n `progression.Progression`.
    """
    stages, *_, num_levels = progressions[0].probabilities.shape
    figure, axes = _grid(len(images), 1 + stages, 1.3)
    titles = ["visible", *(f"{i / (stages - 1):.0%} drawn" for i in range(stages))]
    for row, image, mask, progression in zip(axes, images, masks, progressions):
        pictures = [occluded(image, mask, num_levels), *expected_level(progression.probabilities)]
        for axis, picture, title in zip(row, pictures, titles):
            _show(axis, picture, title)
        titles = [""] * len(titles)  # above the first row alone
    _save(figure, path)


def mask_grid(path, masks, columns):
    """Saves a picture of masks `(n, height, width, 1)`: visible pixels white, hidden ones blue."""
    figure, axes = _grid(-(-len(masks) // columns), columns, 1.15)
    for axis, mask in zip(axes.flat, masks):
        _show(axis, occluded(np.ones_like(mask), mask, 2))
    _save(figure, path)


def _grid(rows, columns, height):
    figure = Figure(figsize=(1.15 * columns, height * rows + 0.2), layout="tight")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def _show(axis, picture, title=""):
    if picture.shape[-1] == 1:
        picture = picture[..., 0]
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_title(title, fontsize=8, pad=3)


def _save(figure, path):
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110)


def training_curves(path, history):
    """Saves the curves of `history.csv`: nats an image by step, for both heads."""
    figure = Figure(figsize=(7, 4.2), layout="tight")
    axis = figure.subplots()
    steps = [row["step"] for row in history]
    for head, colour in (("logits", "tab:blue"), ("conditional_logits", "tab:orange")):
        name = "p(x | c)" if head == "logits" else "conditional head alone"
        for key, style, data in ((f"{head}_nats_per_image", "--", "training"),
                                 (f"val_{head}_nats_per_image", "-", "held-out")):
            axis.plot(steps, [row[key] for row in history], style, color=colour, marker=".",
                      label=f"{name}, {data}")
    axis.set(xlabel="step", ylabel="nats an image (hidden pixels)", yscale="log")
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.yaxis.set_minor_formatter("{x:.0f}")
    axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    _save(figure, path)

