"""The paper's figures 4 to 9, redrawn with a trained model."""

import numpy as np

from pcnn_keras.data.blobs import random_blob_masks
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.inference.progression import probability_progression
from pcnn_keras.inference.sampling import inpaint
from pcnn_keras.plots import completion_grid, mask_grid, progression_grid


def draw_figures(model, images, output, seed=0, progress=None):
    """Draws figures 4 to 9.

    Args:
        model: a `PixelConstrainedCNN`.
        images: levels `(n, height, width, channels)`, up to 24.
        output: folder for the pictures, which must exist.
        seed: chooses the masks and the draws.
        progress: None, or a function that is called now and then with the share that is done.

    Returns:
        Paths of the pictures.
    """
    config = model.config
    blobs = random_blob_masks(24, config.height, config.width, config.max_num_blobs, config.iter_min, config.iter_max,
                              seed).numpy()
    bottom = read_inputs(config, images, config.bottom)[1]
    written = []

    def path(name):
        written.append(output / name)
        if progress:
            progress(len(written) / 6)
        return written[-1]

    def complete(masks, count):
        seeds = seed + np.arange(len(masks))  # noise of its own for each image
        return inpaint(model, images[: len(masks)], masks, count, seed=seeds).ranked()

    def grid(name, masks, completions, ranks=range(8)):
        count = completions.draw.shape[1]
        completion_grid(path(name), images, masks, completions.samples[:, ranks], completions.log_likelihood[:, ranks],
                        config.num_levels, titles=[f"{rank % count + 1} of {count}" for rank in ranks])

    mask_grid(path("figure4_blob_masks.png"), blobs, columns=8)
    grid("figure5_random_masks.png", blobs[: len(images)], complete(blobs[: len(images)], 8))
    grid("figure6_bottom_rows.png", bottom, complete(bottom, 8))
    many = complete(bottom, 64)
    grid("figure7_ranked.png", bottom, many, range(0, 64, 7))
    followed = [probability_progression(model, *each, seed=seed)
                for each in zip(images, bottom, many.samples[:, 16])]  # of the better half: the best are simple ones
    progression_grid(path("figure8_progression.png"), images, bottom, followed)
    grid("figure9_least_likely.png", bottom, many, [0, *range(-9, 0)])  # the likeliest, too, for its bar
    return written
