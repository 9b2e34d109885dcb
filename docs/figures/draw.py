"""Draws the pictures of docs/method.md: `python docs/figures/draw.py [NAME …]`, without names all of them.

Each picture but the two diagrams is drawn by the library's own code: kernel masks by `kernel_mask`, what a stack
sees by gradients through its layers, blobs by `random_blob_masks`, the rounds of a row by the model in
`saved_models/mnist`. Only `overview` and `row` show that model, and have to be drawn again when other weights ship.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

import pcnn_keras as pcnn
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.plots import HIDDEN, occluded

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODEL = ROOT / "saved_models" / "mnist"
BLUE, ORANGE = tuple(np.array(HIDDEN) / 255), "#e07b39"
PALE_BLUE, PALE_ORANGE, PALE_GREY = "#dfe7f3", "#fbe6d8", "#efefef"


def canvas(width, height):
    """A figure of so many inches, and one axes over all of it: 10 units wide, as many to the inch upwards."""
    figure = Figure((width, height), dpi=120)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10), ylim=(0, 10 * height / width))
    axes.axis("off")
    return figure, axes


def box(axes, x, y, width, height, text, colour=PALE_GREY):
    """A rounded box with its middle at (x, y)."""
    axes.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, facecolor=colour, edgecolor="black",
                                  linewidth=0.8, boxstyle="round,pad=0,rounding_size=0.08"))
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5)


def arrow(axes, *points, dashed=False, colour="black"):
    """A line through the points, with a head at the last one."""
    line = {"color": colour, "linewidth": 1, "linestyle": "--" if dashed else "-"}
    axes.plot(*zip(*points[:-1]), **line)
    axes.annotate("", points[-1], points[-2], arrowprops={"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **line})


def thumbnail(axes, picture, x, y, side):
    """A small picture with its middle at (x, y)."""
    extent = (x - side / 2, x + side / 2, y - side / 2, y + side / 2)
    axes.imshow(picture, extent=extent, interpolation="nearest", zorder=2)
    axes.add_patch(Rectangle(extent[::2], side, side, fill=False, linewidth=0.8, zorder=3))


def pixels(axes, picture, title):
    """A picture as large pixels with a grid between them."""
    axes.imshow(picture, interpolation="nearest", vmin=0, vmax=1, cmap="gray")
    height, width = np.shape(picture)[:2]
    axes.set_xticks(np.arange(width + 1) - 0.5, [])
    axes.set_yticks(np.arange(height + 1) - 0.5, [])
    axes.grid(color="#b0b0b0", linewidth=0.4)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=8.5)


def digit():
    """One of the model's own draws, levels `(28, 28, 1)`, and the mask that leaves its lower half visible."""
    config = pcnn.Config.load(MODEL / "config.json")
    image = read_inputs(config, MODEL / "examples" / "3.png", "all")[0][0]
    return image, pcnn.parse_mask("bottom:14", config.height, config.width)(0)


def overview():
    """The two networks, where they meet, and the two terms of the loss."""
    figure, axes = canvas(9, 3.5)
    image, mask = digit()
    full, hidden = occluded(image, np.ones_like(mask), 2), occluded(image, mask, 2)
    for picture, y in ((full, 2.85), (hidden, 1.1)):
        thumbnail(axes, picture, 0.85, y, 1.15)
    axes.text(0.85, 2.1, "image", ha="center", fontsize=8)
    axes.text(0.85, 0.35, "visible pixels, mask", ha="center", fontsize=8)
    box(axes, 3.05, 2.85, 2, 0.9, "prior (Gated PixelCNN)\nsees pixels before $i$", PALE_ORANGE)
    box(axes, 3.05, 1.1, 2, 0.9, "conditioning network\nsees all that is visible", PALE_BLUE)
    box(axes, 5.75, 2.85, 1.1, 0.6, "merge")
    box(axes, 8.35, 2.85, 2.3, 0.6, r"softmax: $p(x_i\,|\,x_{<i},\,c)$")
    box(axes, 8.35, 1.1, 2.3, 0.6, r"softmax: $p_\mathrm{cond}(x_i\,|\,c)$")
    arrow(axes, (1.45, 2.85), (2.05, 2.85))
    arrow(axes, (1.45, 1.1), (2.05, 1.1))
    arrow(axes, (4.05, 2.85), (5.2, 2.85))
    arrow(axes, (6.3, 2.85), (7.2, 2.85))
    arrow(axes, (4.05, 1.1), (7.2, 1.1))
    arrow(axes, (5.75, 1.1), (5.75, 2.55))
    arrow(axes, (3.05, 1.55), (3.05, 2.4), dashed=True)
    axes.text(4.6, 2.97, "prior logits", ha="center", fontsize=8)
    axes.text(6.75, 2.97, "logits", ha="center", fontsize=8)
    axes.text(5.7, 0.87, "conditional_logits", ha="center", fontsize=8)
    axes.text(3.12, 1.9, 'features\n(merge "blocks")', fontsize=8, va="center")
    axes.text(8.35, 3.28, "first term of the loss;\ncompletions are drawn from it", ha="center", fontsize=7.5)
    axes.text(8.35, 0.58, r"second term of the loss, times $\alpha$", ha="center", fontsize=7.5)
    return figure


def kernel_masks():
    """Which taps of a 5 x 5 kernel a pixel sees, and which colours of its own pixel."""
    from pcnn_keras.network.masked import bounding_box, kernel_mask

    kinds = [("vertical,\nfirst block", (5, 5), "vertical", True),
             ("vertical,\nlater blocks", (5, 5), "vertical", False),
             ("horizontal,\nfirst block", (1, 5), "horizontal", True),
             ("horizontal,\nlater blocks", (1, 5), "horizontal", False)]
    figure = Figure((9, 2.3), dpi=120)
    panels = figure.subplots(1, 6)
    for axes, (title, size, stack, restricted) in zip(panels, kinds):
        mask = kernel_mask(size, 1, 1, stack, restricted)
        rows, columns = bounding_box(mask)
        pixels(axes, mask[..., 0, 0], title)
        axes.add_patch(Rectangle((columns.start - 0.5, rows.start - 0.5), columns.stop - columns.start,
                                 rows.stop - rows.start, fill=False, edgecolor=ORANGE, linewidth=3, clip_on=False))
        axes.plot(size[1] // 2, size[0] // 2, "x", color=ORANGE, markersize=7, markeredgewidth=2)
    for axes, restricted in zip(panels[4:], (True, False)):
        centre = kernel_mask((1, 5), 3, 3, "horizontal", restricted, groups=3)[0, 2]
        pixels(axes, centre.T, f"colours of a pixel,\n{'first block' if restricted else 'later blocks'}")
        for tick in (axes.set_xticks, axes.set_yticks):
            tick(range(3), ["R", "G", "B"], fontsize=8)
        axes.set_xlabel("sees", fontsize=8)
        axes.grid(False)
    figure.tight_layout()
    return figure


def seen(network, side, row, column):
    """Which input pixels an output pixel of a network depends on: bool `(side, side)`, by the gradient."""
    import tensorflow as tf

    image = tf.Variable(np.random.default_rng(0).random((1, side, side, 1), np.float32))
    with tf.GradientTape() as tape:
        output = tf.reduce_sum(network(image)[0, row, column])
    return tape.gradient(output, image, unconnected_gradients="zero").numpy()[0, ..., 0] != 0


def stacks():
    """What a pixel sees of the image through one masked stack, and through each of the two stacks."""
    import keras

    from pcnn_keras.network.layers import GatedBlock
    from pcnn_keras.network.masked import MaskedConv2D

    side, row, column, depth = 11, 7, 5, 4
    keras.utils.set_random_seed(0)
    plain = [MaskedConv2D(4, 3, restricted=not i, activation="tanh") for i in range(depth)]
    blocks = [GatedBlock(4, 3, restricted=not i) for i in range(depth)]

    def one_stack(x):
        for layer in plain:
            x = layer(x)
        return x

    def both(x):
        v = h = x
        for block in blocks:
            v, h = block((v, h))
        return v, h

    network_input = keras.Input((side, side, 1))
    two_stacks = keras.Model(network_input, both(network_input))
    panels = [("one masked stack:\na blind spot on the right", seen(one_stack, side, row, column)),
              ("vertical stack:\nthe rows above", seen(lambda x: two_stacks(x)[0], side, row, column)),
              ("horizontal stack with links:\nboth together",
               seen(lambda x: two_stacks(x)[1], side, row, column))]
    for block in blocks:  # a horizontal stack that gets nothing from the vertical one
        block.link.set_weights([0 * weight for weight in block.link.get_weights()])
    panels.insert(2, ("horizontal stack alone:\nits own row on the left",
                      seen(lambda x: two_stacks(x)[1], side, row, column)))
    figure = Figure((9, 2.8), dpi=120)
    before = np.arange(side * side).reshape(side, side) < row * side + column
    for axes, (title, visible) in zip(figure.subplots(1, 4), panels):
        picture = np.where(before[..., None], (0.85, 0.85, 0.85), (1, 1, 1))
        picture = np.where(visible[..., None], BLUE, picture)
        picture[row, column] = (0.88, 0.48, 0.22)
        pixels(axes, picture, title)
    figure.tight_layout()
    return figure


def gated_block():
    """One gated block: the arithmetic of `layers.GatedBlock`."""
    figure, axes = canvas(9, 4.1)
    vertical, horizontal = 3.6, 0.95
    for y, name in ((vertical, "v"), (horizontal, "h")):
        axes.text(0.25, y, name, fontsize=12, style="italic", ha="center", va="center")
        arrow(axes, (0.45, y), (0.95, y))
    box(axes, 1.75, vertical, 1.6, 0.7, "vertical\n3 x 5 convolution", PALE_ORANGE)
    box(axes, 1.75, horizontal, 1.6, 0.7, "horizontal\n1 x 3 convolution", PALE_ORANGE)
    for y in (vertical, horizontal):
        box(axes, 3.3, y, 0.4, 0.4, "+")
        arrow(axes, (2.55, y), (3.1, y))
        box(axes, 5.5, y + 0.33, 0.8, 0.4, "tanh")
        box(axes, 5.5, y - 0.33, 0.8, 0.4, "sigmoid")
        box(axes, 6.6, y, 0.4, 0.4, r"$\times$")
        for sign in (1, -1):
            arrow(axes, (3.5, y), (4.7, y), (4.7, y + sign * 0.33), (5.1, y + sign * 0.33))
            arrow(axes, (5.9, y + sign * 0.33), (6.6, y + sign * 0.33), (6.6, y + sign * 0.2))
    box(axes, 3.3, 2.25, 1.25, 0.6, "link\n1 x 1", PALE_ORANGE)
    arrow(axes, (3.3, vertical - 0.2), (3.3, 2.55))
    arrow(axes, (3.3, 1.95), (3.3, horizontal + 0.2))
    arrow(axes, (6.8, vertical), (9.5, vertical))
    box(axes, 7.6, horizontal, 0.8, 0.6, "out\n1 x 1", PALE_ORANGE)
    arrow(axes, (6.8, horizontal), (7.2, horizontal))
    box(axes, 8.75, horizontal, 0.4, 0.4, "+")
    arrow(axes, (8.0, horizontal), (8.55, horizontal))
    arrow(axes, (8.95, horizontal), (9.5, horizontal))
    arrow(axes, (0.7, horizontal), (0.7, 0.2), (8.75, 0.2), (8.75, horizontal - 0.2))
    axes.text(4.7, 0.27, "not in the first block", fontsize=7.5, ha="center")
    for y, name in ((vertical, "v'"), (horizontal, "h'")):
        axes.text(9.75, y, name, fontsize=12, style="italic", ha="center", va="center")
    box(axes, 1.2, 2.25, 1.35, 0.6, "condition\n1 x 1", PALE_BLUE)
    axes.text(0.25, 2.25, "f", fontsize=12, style="italic", ha="center", va="center")
    arrow(axes, (0.35, 2.25), (0.52, 2.25), dashed=True, colour=BLUE)
    for y, side in ((vertical, -1), (horizontal, 1)):
        turn = y + side * 0.6
        corners = (1.88, 2.25), (2.3, 2.25), (2.3, turn), (3.2, turn)
        arrow(axes, *corners, (3.2, y + side * 0.2), dashed=True, colour=BLUE)
    return figure


def blob_masks():
    """Random masks of Algorithm 1 with the paper's numbers."""
    masks = pcnn.random_blob_masks(10, 28, 28, seed=0).numpy()
    figure = Figure((9, 0.95), dpi=120)
    for axes, mask in zip(figure.subplots(1, 10), masks):
        axes.imshow(np.where(mask == 1, (1.0, 1.0, 1.0), BLUE), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.3)
    return figure


def rounds(model, image, mask, row, seed):
    """Solves one row as the sampler does, all rows above being final, with whole passes of the model.

    Returns:
        The first guess, and the row after each round: levels `(width, channels)`.
    """
    from pcnn_keras.inference.noise import gumbel, pixel_positions

    config = model.config
    noise = gumbel(np.array([seed]), np.array([0]), pixel_positions(config)).numpy()[0, row]
    guess = np.where(mask[row] == 1, image[row], image[row - 1])
    found = [guess]
    while len(found) < 2 or (found[-1] != found[-2]).any():
        image = np.concatenate([image[:row], found[-1][None], image[row + 1 :]])
        log_probabilities = np.log(pcnn.pixel_probabilities(model, image[None], mask[None])[0, row] + 1e-30)
        drawn = (log_probabilities + noise).argmax(axis=-1)
        found.append(np.where(mask[row] == 1, image[row], drawn))
    return found


def row():
    """The rounds in which the fast sampler solves a row: the row above, then each round until one changes nothing."""
    model, seed, at = pcnn.load(MODEL), 4, 9
    image, mask = digit()
    sample = pcnn.inpaint(model, image, mask, 1, seed=seed).samples[0]
    found = rounds(model, sample, mask, at, seed)
    assert (found[-1] == sample[at]).all(), "not what the sampler draws"
    figure = Figure((9, 2.6), dpi=120)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 2.2]})
    drawn = occluded(np.concatenate([sample[:at], image[at:]]), np.where(np.arange(28)[:, None, None] < at, 1, mask), 2)
    left.imshow(drawn, interpolation="nearest")
    left.add_patch(Rectangle((-0.5, at - 0.5), 28, 1, fill=False, edgecolor=ORANGE, linewidth=2))
    left.set(xticks=[], yticks=[])
    left.set_title(f"rows above are final;\nrow {at} is next", fontsize=8.5)
    pixels(right, np.stack([each[:, 0] for each in found]), f"row {at}: orange pixels change in the round")
    names = ["guess: the row above", *(f"after round {i + 1}" for i in range(len(found) - 1))]
    right.set_yticks(range(len(found)), names, fontsize=8)
    for i, (before, after) in enumerate(zip(found, found[1:])):
        for column in np.flatnonzero(before[:, 0] != after[:, 0]):
            right.add_patch(Rectangle((column - 0.5, i + 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5))
    figure.tight_layout()
    return figure


def slices():
    """The four slices of an image of 8 x 8 pixels, and what is visible when each is drawn."""
    from pcnn_keras.data.slices import slice_of, visible_to_slice

    side, parts = 8, 2
    number = np.zeros((1, side, side, 1), np.int32)
    for k in range(parts**2):
        slice_of(number, k, parts)[:] = k
    mask = np.zeros((1, side, side, 1), np.int32)
    mask[:, :, :3] = 1
    figure = Figure((9, 2.1), dpi=120)
    for k, axes in enumerate(figure.subplots(1, 4)):
        visible = visible_to_slice(mask, k, parts)[0] == 1
        picture = np.where(visible, (1.0, 1.0, 1.0), BLUE)
        picture[(number[0, ..., 0] == k) & ~visible[..., 0]] = (0.88, 0.48, 0.22)
        pixels(axes, picture, f"slice {k}")
    figure.tight_layout()
    return figure


PICTURES = (overview, stacks, kernel_masks, gated_block, blob_masks, row, slices)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    every = [picture.__name__ for picture in PICTURES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)} (default: all)")
    names = parser.parse_args().names
    if unknown := {*names} - {*every}:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    for picture in PICTURES:
        if not names or picture.__name__ in names:
            path = HERE / f"method_{picture.__name__}.png"
            picture().savefig(path, metadata={"Software": None})
            print(f"Wrote {path.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
