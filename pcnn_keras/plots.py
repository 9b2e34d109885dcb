"""Pictures: grids of completions with their likelihoods, and curves of a training run."""

import numpy as np

from pcnn_keras.data.pixels import to_bytes
from pcnn_keras.files import replacing
from pcnn_keras.style import Rectangle, colormaps, default_style, new_figure

HIDDEN = (70, 105, 160)
"""The colour of pixels that the model does not see: neither black nor white, so never ambiguous."""

MOST_SHOWN = 64
"""Rows, and completions in a row, of a picture of completions."""


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


@default_style()
def completion_grid(path, images, masks, samples, log_likelihood, num_levels, original=False, titles=()):
    """Saves a picture: a row for each image, the occluded image first, then its completions.

    Under each completion stands its log-likelihood in nats and a bar: full for the row's likeliest,
    empty for its least likely. `MOST_SHOWN` images, and completions of each, are shown at most.

    Args:
        path: PNG file to write.
        images, masks: levels `(n, height, width, channels)` and masks `(n, height, width, 1)`.
        samples: list of n arrays of levels `(k, height, width, channels)`; k may differ.
        log_likelihood: list of n arrays `(k,)`, nats.
        original: True to show the whole image before the occluded one.
        titles: what stands above the columns of completions.
    """
    samples, log_likelihood = ([row[:MOST_SHOWN] for row in rows[:MOST_SHOWN]] for rows in (samples, log_likelihood))
    titles = [*["image"] * original, "visible", *titles]
    first = 1 + original
    grid = _Grid(len(samples), first + max(map(len, samples)), images[0].shape[:2], titles, under=0.32)
    for i, completions in enumerate(samples):
        if original:
            grid.show(i, 0, to_bytes(images[i], num_levels))
        grid.show(i, first - 1, occluded(images[i], masks[i], num_levels))
        lengths = bar_lengths(log_likelihood[i])
        for k, (sample, nats, length) in enumerate(zip(completions, log_likelihood[i], lengths)):
            grid.show(i, first + k, to_bytes(sample, num_levels), f"{nats:.1f}", length)
    grid.save(path)


@default_style()
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
    titles = ["visible", *(f"{i / (stages - 1):.0%} drawn" for i in range(stages))]
    grid = _Grid(len(images), len(titles), images[0].shape[:2], titles)
    for i, (image, mask, progression) in enumerate(zip(images, masks, progressions)):
        for k, picture in enumerate([occluded(image, mask, num_levels), *expected_level(progression.probabilities)]):
            grid.show(i, k, picture)
    grid.save(path)


@default_style()
def mask_grid(path, masks, columns):
    """Saves a picture of masks `(n, height, width, 1)`: visible pixels white, hidden ones blue."""
    grid = _Grid(-(-len(masks) // columns), columns, masks[0].shape[:2])
    for i, mask in enumerate(masks):
        row, column = divmod(i, columns)
        grid.show(row, column, occluded(np.ones_like(mask), mask, 2))
    grid.save(path)


class _Grid:
    """Pictures an inch wide in rows and columns. In one plot, measured in inches: a plot for each takes far longer.

    Args:
        rows, columns: how many.
        size: height and width of the pictures, in pixels.
        titles: of the columns.
        under: inches below each picture for text and bar.
    """

    GAP = 0.125

    def __init__(self, rows, columns, size, titles=(), under=0.0):
        self._height = size[0] / size[1]
        self._row, self._top = self._height + under + self.GAP, 0.25 if titles else self.GAP
        width, height = columns * (1 + self.GAP) + self.GAP, self._top + rows * self._row
        self._figure = new_figure(width, height)
        self._plot = self._figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), frame_on=False)
        self._plot.set_axis_off()
        for column, title in enumerate(titles):
            self._plot.text(self._left(column) + 0.5, self._top - 0.04, title, ha="center", va="bottom", fontsize=8)

    def _left(self, column):
        return self.GAP + column * (1 + self.GAP)

    def show(self, row, column, picture, text="", bar=None):
        """A picture, uint8 `(height, width, 1 or 3)`, and under it a text and a bar that is full at 1."""
        left, top = self._left(column), self._top + row * self._row
        bottom = top + self._height
        self._plot.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255,
                          extent=(left, left + 1, bottom, top), aspect="auto", interpolation="nearest")
        self._plot.text(left + 0.5, bottom + 0.05, text, ha="center", va="top", fontsize=7)
        for width, colour in () if bar is None else ((1, "0.88"), (bar, "tab:blue")):
            self._plot.add_patch(Rectangle((left, bottom + 0.22), width, 0.06, color=colour, linewidth=0))

    def save(self, path):
        _save(self._figure, path)


def _save(figure, path):
    with replacing(path) as aside:
        figure.savefig(aside, dpi=112)  # four for each pixel of MNIST


@default_style()
def training_curves(path, history):
    """Saves the curves of `history.csv`: nats an image by step, for both heads."""
    figure = new_figure(7, 4.2, layout="tight")
    axis = figure.subplots()
    steps = [row["step"] for row in history]
    for head, colour in (("logits", "tab:blue"), ("conditional_logits", "tab:orange")):
        name = "p(x | c)" if head == "logits" else "conditional head alone"
        for key, style, data in ((f"{head}_nats_per_image", "--", "training"),
                                 (f"val_{head}_nats_per_image", "-", "held-out")):
            axis.plot(steps, [row[key] for row in history], style, color=colour, marker=".",
                      label=f"{name}, {data}")
    _save_curves(figure, axis, path)


@default_style()
def held_out_curves(path, curves):
    """Saves the held-out nats an image of several runs by step: `{name: [(step, nats), …]}`."""
    figure = new_figure(7, 4.2, layout="tight")
    axis = figure.subplots()
    for name, points in curves.items():
        axis.plot(*zip(*points), marker=".", label=name)
    _save_curves(figure, axis, path)


def _save_curves(figure, axis, path):
    axis.set(xlabel="step", ylabel="nats an image (hidden pixels)", yscale="log")
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.yaxis.set_minor_formatter("{x:.0f}")
    axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    _save(figure, path)

