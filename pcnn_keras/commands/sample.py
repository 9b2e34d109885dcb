"""Draws completions of partly hidden images and says how likely each is.

`python sample.py --model saved_models/mnist --dataset mnist --index 0 1 --mask bottom:7`
"""

from pathlib import Path

import numpy as np

from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.commands.progress import Progress
from pcnn_keras.config import MOST_SAMPLES, Config
from pcnn_keras.data.images import list_images, read_levels
from pcnn_keras.data.masks import parse_mask
from pcnn_keras.errors import InputError
from pcnn_keras.files import make_folder
from pcnn_keras.quiet import import_tensorflow


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_argument("--image", type=Path, nargs="+", metavar="FILE",
                        help="image files: cropped to the model's shape and resized, made grey for a grey model")
    parser.add_images("take images from this set's test split (default: the first 4 examples that are with the model, "
                      "or its own set)")
    parser.add_argument("--index", type=number(int, 0), nargs="+", metavar="N", help="their numbers (default: 0 1 2 3)")
    parser.add_argument("--mask", nargs="+", metavar="SPEC",
                        help="what stays visible: bottom:7, top:14, left:14, right:14, center:10, edge:4, "
                             "rect:R,C,H,W, hole:R,C,H,W, random:0.15, blobs, blobs:4,2,7, all, none, or an "
                             "image file, white = visible (default: the bottom quarter)")
    parser.add_argument("--num-samples", type=number(int, 1, MOST_SAMPLES), default=8, metavar="N",
                        help="completions of each (default: 8)")
    parser.add_argument("--temperature", type=number(float, 0), default=1.0, metavar="X",
                        help="below 1: likelier levels more often; 0: the likeliest")
    parser.add_argument("--seed", type=number(int, 0, 2**63 - 1), metavar="N",
                        help="of all images' noise (default: one for each image, 0, 1, …, lest they look alike)")
    parser.add_argument("--keep-best", type=number(int, 1), metavar="N", help="show only the N likeliest")
    parser.add_argument("--min-log-likelihood", type=number(float), metavar="X",
                        help="show only those of at least this log-likelihood, in nats")
    parser.add_argument("--sampler", default="fast", choices=["fast", "raster"],
                        help="a row or a pixel at a time: the same draws")
    parser.add_argument("--progression", action="store_true",
                        help="also show how probabilities sharpen while the likeliest is drawn: progression.png")
    parser.add_argument("--output", type=Path, default=Path("samples"), help="folder for grid.png and samples.npz")
    flags = parser.parse_args()
    if flags.image and (flags.dataset or flags.index):
        parser.error("--image and --dataset or --index exclude each other")
    return flags


def read_files(flags, config):
    """Levels `(n, height, width, channels)` of the files or examples that were asked for, or None: a data set was."""
    paths, examples = flags.image, flags.model / "examples"
    if not (paths or flags.dataset or flags.data_dir or flags.index) and examples.is_dir():
        paths = list_images(examples)[:4]
    return read_levels(paths, config) if paths else None


def read_data_set(flags, config):
    """Levels of the data set's images that were asked for."""
    from pcnn_keras.data.sources import load_model_images

    test = load_model_images(config, flags.dataset, flags.data_dir).test
    index = flags.index or range(min(4, len(test)))
    if max(index) >= len(test):
        raise InputError(f"--index {max(index)}: the test split has {len(test)} images.")
    return test[list(index)]


def main():
    flags = parse()
    config = Config.of_model(flags.model)
    specs = flags.mask or [f"bottom:{config.height // 4}"]
    make_masks = [parse_mask(spec, config.height, config.width) for spec in specs]
    levels = read_files(flags, config)

    # Graph rewrites take seconds before the first draw, and make drawing itself hardly faster.
    import_tensorflow().config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    from pcnn_keras.inference import results
    from pcnn_keras.inference.progression import probability_progression
    from pcnn_keras.inference.sampling import inpaint
    from pcnn_keras.network.model import load
    from pcnn_keras.plots import MOST_SHOWN, progression_grid

    if levels is None:
        levels = read_data_set(flags, config)
    model = load(flags.model)
    images = np.repeat(levels, len(specs), axis=0).astype(np.int32)
    mask_seeds = [((flags.seed or 0) + i) % 2**63 for i in range(len(levels))]
    masks = np.stack([make(seed) for seed in mask_seeds for make in make_masks])
    seeds = np.repeat(np.arange(len(levels)) if flags.seed is None else [flags.seed] * len(levels), len(specs))
    make_folder(flags.output)
    with Progress("Drawing completions") as progress:
        result = inpaint(model, images, masks, flags.num_samples, flags.temperature, seeds, flags.sampler,
                         progress=progress).ranked()

    kept = np.broadcast_to(np.arange(flags.num_samples) < (flags.keep_best or flags.num_samples), result.draw.shape)
    if flags.min_log_likelihood is not None:
        kept = kept & (result.log_likelihood >= flags.min_log_likelihood)
    written = results.save(flags.output, images, masks, result, config.num_levels, kept)
    if len(images) > MOST_SHOWN or kept.sum(axis=1).max() > MOST_SHOWN:
        print(f"{written[0].name} shows {MOST_SHOWN} images and completions of each, {written[1].name} has all.")
    for row, (nats, keep) in enumerate(zip(result.log_likelihood, kept)):
        shown = " ".join(f"{value:.1f}" for value in nats[keep])
        print(f"image {row // len(specs)}, mask {specs[row % len(specs)]}: log-likelihoods {shown or 'none kept'}")
    if flags.progression:
        with Progress("Drawing continuations") as progress:
            def of_image(i):
                return lambda share: progress((i + share) / len(images))

            progressions = [
                probability_progression(model, image, mask, samples[0], seed=int(seed), progress=of_image(i))
                for i, (image, mask, samples, seed) in enumerate(zip(images, masks, result.samples, seeds))]
        written.append(flags.output / "progression.png")
        progression_grid(written[-1], images, masks, progressions)
    print(f"Wrote {', '.join(map(str, written))}.")

