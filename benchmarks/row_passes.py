"""How a row is best solved: whole, in parts, or a pixel at a time; and from which first guess.

`python benchmarks/row_passes.py [MODEL]`: a trained model (default: saved_models/mnist). Counts the
rounds that the fixed-point iteration takes in blocks of 1 to all columns, for completions whose top
75 % are hidden, and times a round of the horizontal stack over such a block. A completion whose
block has settled leaves, so that round k costs what a round costs for those that are left.
"""

import sys

import numpy as np
from common import in_turn, machine
from sampling import top_hidden

import pcnn_keras as pcnn
from pcnn_keras.data.pixels import scale
from pcnn_keras.inference import noise
from pcnn_keras.inference.likelihood import conditional_logits
from pcnn_keras.network.networks import prior_layers

MODEL = sys.argv[1] if len(sys.argv) > 1 else "saved_models/mnist"
COMPLETIONS = 32
WIDTHS = (1, 2, 4, 7, 14, 28)


def row_logits(model, samples):
    """A function of a row's number and levels `(n, width, channels)`: its prior logits, all above being final."""
    import tensorflow as tf

    blocks, head = prior_layers(model.prior)
    v, linked = tf.constant(scale(samples.astype(np.float32), model.config.num_levels)), []
    for block in blocks:
        linked.append(tf.transpose(block.link(block.vertical(v)), (1, 2, 0, 3)))
        v = block.vertical_stack(v)
    linked = tf.stack(linked, axis=1)  # (height, blocks, width, n, 2 filters)

    @tf.function(autograph=False)
    def horizontal(h, links):
        for i, block in enumerate(blocks):
            h = block.row_form()[1](h, links[i])
        for layer in head:
            h = layer.row_form()(h)
        return tf.transpose(h, (1, 0, 2))

    def logits(row, levels):
        h = scale(levels.transpose(1, 0, 2).astype(np.float32), model.config.num_levels)
        return horizontal(tf.constant(h), linked[row]).numpy().reshape(*levels.shape, -1)

    return logits


def rounds(model, image, mask):
    """Completions left in each round: {(first guess, width): a list of counts for each block}."""
    import tensorflow as tf

    free = conditional_logits(model, image[None], mask[None])
    samples = pcnn.inpaint(model, image, mask, COMPLETIONS, seed=1).samples
    held = noise.gumbel(tf.fill([COMPLETIONS], tf.constant(1, tf.int64)), tf.range(COMPLETIONS, dtype=tf.int64),
                        free.shape[1:]).numpy()
    prior, left = row_logits(model, samples), {}
    for row in np.flatnonzero((mask == 0).any(axis=(1, 2))):
        for guess in ("the row above", "zeros"):
            for width in WIDTHS:
                levels = samples[:, row - 1] if row and guess == "the row above" else np.zeros_like(samples[:, row])
                levels = levels.copy()
                for start in range(0, levels.shape[1], width):
                    block, active, counts = slice(start, start + width), np.ones(COMPLETIONS, bool), []
                    while active.any():
                        counts.append(active.sum())
                        drawn = (prior(row, levels) + free[:, row] + held[:, row])[:, block].argmax(-1)
                        active &= (drawn != levels[:, block]).any(axis=(1, 2)) & (width > 1)
                        levels[:, block] = drawn
                    left.setdefault((guess, width), []).append(counts)
                assert (levels == samples[:, row]).all()
    return left


def round_seconds(model):
    """Seconds of one round over a block: {(width, completions): seconds}."""
    import tensorflow as tf

    forms = [block.row_form()[1] for block in prior_layers(model.prior)[0][1:]]  # weights made ready once
    filters = model.config.filters

    @tf.function(autograph=False)
    def one_round(h, linked):
        for within in forms:
            h = within(h, linked)
        return h

    functions = {}
    for width in WIDTHS:
        for count in (1, 4, COMPLETIONS):
            h = tf.random.normal((width, count, filters))
            linked = tf.random.normal((width, count, 2 * filters))
            functions[f"{width} {count}"] = lambda h=h, linked=linked: one_round(h, linked).numpy()
    seconds = in_turn(20, **functions)
    return {tuple(map(int, name.split())): value for name, value in seconds.items()}


def main():
    model = pcnn.load(MODEL)
    config = model.config
    image = pcnn.inpaint(model, np.zeros((config.height, config.width, config.channels), np.int32),
                         top_hidden(config, 1), 1, seed=1).samples[0]
    left = rounds(model, image, top_hidden(config, 0.75))
    seconds = round_seconds(model)
    print(machine())
    print("Milliseconds are those of the gated blocks after the first, without the head and the draw.")
    print(f"{'first guess':14} columns  rounds a block: mean, slowest of {COMPLETIONS}   ms a row: 1 completion, "
          f"{COMPLETIONS} completions")
    for (guess, width), blocks in left.items():
        times = [np.interp(np.arange(COMPLETIONS + 1), *zip(*((n, t) for (w, n), t in seconds.items() if w == width)))]
        many = np.mean([times[0][counts].sum() for counts in blocks]) * config.width / width
        mean = np.mean([np.sum(counts) / COMPLETIONS for counts in blocks])
        single = mean * seconds[width, 1] * config.width / width
        slowest = np.mean([len(counts) for counts in blocks])
        print(f"{guess:14} {width:7}  {mean:14.2f} {slowest:20.2f} {single * 1e3:24.1f} {many * 1e3:18.1f}")


if __name__ == "__main__":
    main()
