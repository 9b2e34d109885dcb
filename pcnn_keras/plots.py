"""Pictures: grids of completions with their likelihoods, and curves of a training run.

Matplotlib as it comes: what a user has set for other pictures neither stops nor changes ours. Not pyplot: a notebook's
own figures stay as they are.
"""

import functools
import logging
import math
import os
import sys
from contextlib import contextmanager, suppress
from itertools import repeat

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pcnn_keras.data.pixels import expected_bytes, to_bytes
from pcnn_keras.errors import InputError
from pcnn_keras.files import replacing


@contextmanager
def _importing():
    """Imports of Matplotlib that neither fail over MPLBACKEND nor say what is wrong in a matplotlibrc."""
    logger, first = logging.getLogger("matplotlib"), "matplotlib" not in sys.modules
    level, backend = logger.level, os.environ.pop("MPLBACKEND", None)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except (ValueError, OSError) as error:
        raise InputError(f"Matplotlib cannot be imported with the matplotlibrc that it finds: {error}.") from error
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
            if first and "matplotlib" in sys.modules:
                with suppress(ValueError):  # for a caller's own figures, unless it is none
                    sys.modules["matplotlib"].rcParams["backend"] = backend


with _importing():
    import matplotlib
    from matplotlib import colormaps
    from matplotlib.figure import Figure

DEFAULTS = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}

HIDDEN = (70, 105, 160)
"""The colour of pixels that the model does not see: neither black nor white, so never ambiguous."""

MOST_SHOWN = 64
"""Completions in a row of a picture."""

MOST_ROWS = 24
"""Of a picture of completions."""


def occluded(image, mask, num_levels):
    """The image as the model sees it: RGB bytes `(height, width, 3)`, hidden pixels in blue."""
    shown = np.broadcast_to(to_bytes(image, num_levels), (*image.shape[:2], 3))
    return np.where(mask == 1, shown, np.array(HIDDEN, np.uint8))


def bar_lengths(log_likelihood, spread=None):
    """How full the bars of an image's completions are, `(k,)`: 1 for the likeliest, 0 at `spread` nats below it.

    By default `spread` is that of the completions.
    """
    high = log_likelihood.max(initial=-np.inf)
    spread = np.ptp(log_likelihood) if spread is None and len(log_likelihood) else spread
    return 1 - (high - log_likelihood) / spread if spread else np.ones(len(log_likelihood))


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


def completion_grid(path, images, masks, samples, log_likelihood, num_levels, titles=(), labels=(),
                    classes=None):
    """Saves a picture: a row for each image, as it is, then what the model sees of it, then completions.

    Under each completion stands its class, if it has one, its log-likelihood in nats and a bar, full for the row's
    likeliest. A nat less shortens the bar by as much in all rows. `MOST_ROWS` images and `MOST_SHOWN` completions of
    each are shown at most.

    Args:
        path: PNG file to write.
        images, masks: levels `(n, height, width, channels)` and masks `(n, height, width, 1)`.
        samples: list of n arrays of levels `(k, height, width, channels)`; k may differ.
        log_likelihood: list of n arrays `(k,)`, nats.
        titles: what stands above the columns of completions.
        labels: n texts, what stands above the rows.
        classes: None, or a list of n arrays `(k,)`, the class that a classifier sees in each completion.
    """
    samples, log_likelihood = ([row[:MOST_SHOWN] for row in rows[:MOST_ROWS]] for rows in (samples, log_likelihood))
    spread = max((np.ptp(row) for row in log_likelihood if len(row)), default=0)
    seen = "the class that a classifier sees, " * bool(classes)
    legend = f"Under completions: {seen}log-likelihood of the hidden pixels"
    if spread:
        legend += f". Bar: full for the row's likeliest, empty {spread:.1f} nats below it"
    grid = _Grid(len(samples), 2 + max(map(len, samples)), images[0].shape[:2], ["image", "visible", *titles], labels,
                 legend)
    for i, completions in enumerate(samples):
        grid.show(i, 0, to_bytes(images[i], num_levels))
        grid.show(i, 1, occluded(images[i], masks[i], num_levels))
        lengths = bar_lengths(log_likelihood[i], spread)
        names = [f"{name}: " for name in classes[i]] if classes else repeat("")
        for k, (sample, name, nats, length) in enumerate(zip(completions, names, log_likelihood[i], lengths)):
            grid.show(i, 2 + k, to_bytes(sample, num_levels), f"{name}{nats:.1f} nats", length)
    grid.save(path)


def progression_grid(path, images, masks, progressions, labels=()):
    """Saves a picture: a row for each image, how its pixels' probabilities sharpen as they are drawn.

    The occluded image first, then the stages of one completion: where a pixel is not drawn yet, its
    expected level (grey with 2 levels: black is surely 0, white surely 1).

    Args:
        path: PNG file to write.
        images, masks: levels `(n, height, width, channels)` and masks `(n, height, width, 1)`.
        progressions: n `progression.Progression`.
        labels: n texts, what stands above the rows.
    """
    stages, *_, num_levels = progressions[0].probabilities.shape
    titles = ["visible", *(f"{i / (stages - 1):.0%} drawn" for i in range(stages))]
    grid = _Grid(len(progressions), len(titles), images[0].shape[:2], titles, labels)
    for i, (image, mask, progression) in enumerate(zip(images, masks, progressions)):
        for k, picture in enumerate([occluded(image, mask, num_levels), *expected_bytes(progression.probabilities)]):
            grid.show(i, k, picture)
    grid.save(path)


def mask_grid(path, masks, columns):
    """Saves a picture of masks `(n, height, width, 1)`: visible pixels white, hidden ones blue."""
    grid = _Grid(-(-len(masks) // columns), columns, masks[0].shape[:2])
    for i, mask in enumerate(masks):
        row, column = divmod(i, columns)
        grid.show(row, column, occluded(np.ones_like(mask), mask, 2))
    grid.save(path)


class _Grid:
    """Pictures in rows and columns, drawn with Pillow: with Matplotlib it takes far longer.

    Args:
        rows, columns: how many.
        size: height and width of the pictures, in pixels.
        titles: of the columns.
        labels: of the rows.
        legend: what the text and the bar under pictures mean; if it is "", there are none.
    """

    SIDE, GAP, LINE = 112, 14, 18  # of the grid's own pixels: a picture's width, about; a gap; a line of text

    def __init__(self, rows, columns, size, titles=(), labels=(), legend=""):
        enlarged = max(1, round(self.SIDE / size[1]))
        self._height, self._width = size[0] * enlarged, size[1] * enlarged
        self._head, self._under = self.LINE * bool(labels), 26 * bool(legend)
        self._row, self._top = self._head + self._height + self._under + self.GAP, self.GAP + self.LINE * bool(titles)
        labels, below = labels[:rows], self._top + rows * self._row
        longest = max(font().getlength(text) for text in (legend, *labels))
        width = max(self._left(columns), math.ceil(longest) + 2 * self.GAP)
        self._image = Image.new("RGB", (width, below + (self.LINE + self.GAP) * bool(legend)), "white")
        self._draw = ImageDraw.Draw(self._image)
        for column, title in enumerate(titles):
            self._text(self._left(column) + self._width // 2, self._top - self.LINE // 2, title, "mm")
        for row, label in enumerate(labels):
            self._text(self.GAP, self._top + row * self._row + self.LINE // 2, label, "lm")
        self._text(self.GAP, below + self.LINE // 2, legend, "lm")

    def _left(self, column):
        return self.GAP + column * (self._width + self.GAP)

    def _text(self, x, y, text, anchor):
        self._draw.text((x, y), text, "black", font(), anchor)

    def show(self, row, column, picture, text="", bar=None):
        """A picture, uint8 `(height, width, 1 or 3)`, and under it a text and a bar that is full at 1."""
        left, top = self._left(column), self._top + row * self._row + self._head
        shown = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        self._image.paste(shown.resize((self._width, self._height), Image.Resampling.NEAREST), (left, top))
        bottom = top + self._height
        self._text(left + self._width // 2, bottom + 10, text, "mm")
        for share, colour in () if bar is None else ((1, "#e0e0e0"), (bar, "#1f77b4")):
            if width := round(share * self._width):
                self._draw.rectangle((left, bottom + 19, left + width - 1, bottom + 24), colour)

    def save(self, path):
        with replacing(path) as aside:
            self._image.save(aside, format="png")


@functools.cache
def font():
    """Matplotlib's own font, of 12 pixels, for Pillow."""
    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 12)


@matplotlib.rc_context(DEFAULTS)
def training_curves(path, history):
    """Saves the curves of `history.csv`: nats an image by step, for both heads."""
    axis = Figure(figsize=(7, 4.2), layout="tight").subplots()
    steps = [row["step"] for row in history]
    for head, colour in (("logits", "tab:blue"), ("conditional_logits", "tab:orange")):
        name = "p(x | c)" if head == "logits" else "conditional head alone"
        for key, style, data in ((f"{head}_nats_per_image", "--", "training"),
                                 (f"val_{head}_nats_per_image", "-", "held-out")):
            axis.plot(steps, [row[key] for row in history], style, color=colour, marker=".",
                      label=f"{name}, {data}")
    _save_curves(axis, path)


@matplotlib.rc_context(DEFAULTS)
def held_out_curves(path, curves):
    """Saves the held-out nats an image of several runs by step: `{name: [(step, nats), …]}`."""
    axis = Figure(figsize=(7, 4.2), layout="tight").subplots()
    for name, points in curves.items():
        axis.plot(*zip(*points), marker=".", label=name)
    _save_curves(axis, path)


def _save_curves(axis, path):
    axis.set(xlabel="step", ylabel="nats an image (hidden pixels)", yscale="log")
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.yaxis.set_minor_formatter("{x:.0f}")
    axis.tick_params(axis="y", which="minor", labelsize=7)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    with replacing(path) as aside:
        axis.figure.savefig(aside, dpi=112, format="png")
