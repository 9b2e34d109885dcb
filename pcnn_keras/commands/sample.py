"""Draws completions of partly hidden images and says how likely each is.

`python sample.py --model saved_models/mnist --dataset mnist --index 0 1 --mask bottom:7`
"""

import math
from itertools import chain
from pathlib import Path

import numpy as np

from pcnn_keras.commands.cases import Cases, Masks, stacked
from pcnn_keras.commands.datasets import data_dir, model_images
from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.commands.progress import Progress
from pcnn_keras.commands.results import (
    RESULTS,
    Drawn,
    Folders,
    earlier_files,
    expect_room,
    label,
    records,
    remove,
    save_image,
    tell,
    warn,
)
from pcnn_keras.config import MOST_SAMPLES, Config
from pcnn_keras.data.images import list_images, read_image
from pcnn_keras.data.masks import mask_kind
from pcnn_keras.data.pixels import quantize
from pcnn_keras.data.prepare import WAYS, prepare
from pcnn_keras.data.sources import is_of_files
from pcnn_keras.errors import InputError
from pcnn_keras.files import PROGRESSION, replacing_all
from pcnn_keras.inference.completions import save_completions
from pcnn_keras.quiet import import_tensorflow


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_argument("--image", type=Path, nargs="+", metavar="FILE",
                        help="image files, and folders of such, brought to the model's size and made grey for a grey "
                             "model")
    parser.add_argument("--prepare", default="auto", choices=WAYS,
                        help="image files: digit: as MNIST's, bright on black, cropped to the ink, centred; none: "
                             "cropped around the centre; auto: digit for models of MNIST, otherwise none (default)")
    parser.add_images("take images from this set's test split (default: the first 4 examples that are with the model, "
                      "or its own set)")
    parser.add_argument("--index", type=number(int, 0), nargs="+", metavar="N",
                        help="which of the test split (default: 0 1 2 3)")
    parser.add_argument("--mask", nargs="+", metavar="SPEC",
                        help="what stays visible: bottom:7, top:14, left:14, right:14, center:10, edge:4, "
                             "rect:R,C,H,W, hole:R,C,H,W, random:0.15, blobs, blobs:4,2,7, all, none, or an "
                             "image file, white = visible (default: the bottom quarter)")
    parser.add_argument("--mask-dir", type=Path, metavar="DIR",
                        help="folder of mask files: each image takes the one of its name, whatever the suffix")
    parser.add_argument("--mask-hides", action="store_true", help="in mask files, white is hidden and black visible")
    parser.add_argument("--num-samples", type=number(int, 1, MOST_SAMPLES), default=8, metavar="N",
                        help="completions of each (default: 8)")
    parser.add_argument("--candidates", type=number(int, 1, MOST_SAMPLES), metavar="N",
                        help="draw N of each, and keep --num-samples of them that the model's own joint distribution "
                             "prefers (try 64, with models of digits; only at temperature 1; default: no choice)")
    parser.add_argument("--temperature", type=number(float, 0), default=1.0, metavar="X",
                        help="below 1: likelier levels more often; 0: the likeliest")
    parser.add_argument("--seed", type=number(int, 0, 2**63 - 1), metavar="N",
                        help="of the noise of all images (default: 0 for the first one, 1 for the next, …)")
    parser.add_argument("--keep-best", type=number(int, 1), metavar="N", help="show only the N likeliest")
    parser.add_argument("--min-log-likelihood", type=number(float), metavar="X",
                        help="show only those of at least this log-likelihood, in nats")
    parser.add_argument("--sampler", default="fast", choices=["fast", "raster"],
                        help="a row or a pixel at a time: the same draws")
    parser.add_argument("--progression", action="store_true",
                        help="also show how probabilities sharpen while the likeliest is drawn: progression.png")
    parser.add_argument("--output", type=Path, default=Path("samples"),
                        help="folder for grid.png, samples.npz and results.jsonl")
    flags = parser.parse_args()
    if flags.image and (flags.dataset or flags.index or flags.data_dir):
        parser.error("--image excludes --dataset, --data-dir and --index")
    if flags.mask_dir and (flags.mask or not flags.image):
        parser.error("--mask-dir goes with --image, and without --mask")
    if flags.prepare != "auto" and (flags.dataset or flags.index or flags.data_dir):
        parser.error("--prepare goes with --image: the images of a data set are prepared already")
    if flags.mask_hides and not flags.mask_dir and all(mask_kind(spec).name != "file" for spec in flags.mask or []):
        parser.error("--mask-hides goes with mask files")
    if flags.candidates and flags.candidates < flags.num_samples:
        parser.error(f"argument --candidates: expected at least --num-samples ({flags.num_samples}), "
                     f"received {flags.candidates}")
    if flags.candidates and flags.temperature != 1:
        parser.error("--candidates goes with --temperature 1")
    return flags


DRAWN = 1024
"""Completions at a time, roughly: of those before, no more is kept than what `samples.npz` will hold."""


def file_cases(flags, config, masks):
    """The `Cases` of the files or examples that were asked for, or None: a data set was."""
    paths, examples = flags.image, flags.model / "examples"
    if not (paths or flags.dataset or flags.data_dir or flags.index) and examples.is_dir():
        paths = list_images(examples)[:4]
    if not paths:
        masks.check()
        return None
    paths = [file for path in paths for file in (list_images(path) if path.is_dir() else [path])]

    def read(i):
        picture = prepare(read_image(paths[i], config.channels), config, flags.prepare)
        return quantize(picture.image(), config.num_levels), picture

    return Cases(paths, read, masks, flags.seed, paths)


def data_set_cases(flags, config, masks):
    """The same of the data set's images that were asked for."""
    test = model_images(config, flags).test
    index = flags.index or range(min(4, len(test)))
    if max(index) >= len(test):
        raise InputError(f"--index {max(index)}: the test split has {len(test)} images.")
    return Cases([f"{flags.dataset or config.dataset} {k}" for k in index], lambda i: (test[index[i]], None), masks,
                 flags.seed)


def in_groups(cases, flags, masks):
    """The cases of as many images as are drawn at a time."""
    size, group = max(1, DRAWN // (len(masks) * (flags.candidates or flags.num_samples))), []
    for each in cases:
        group.append(each)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def which_to_show(flags, masks, result):
    """Of ranked completions, bool `(n, num_samples)`; of an image of which nothing is hidden, none."""
    kept = np.broadcast_to(np.arange(flags.num_samples) < (flags.keep_best or flags.num_samples), result.draw.shape)
    if flags.min_log_likelihood is not None:
        kept = kept & (result.log_likelihood >= flags.min_log_likelihood)
    return kept & ~masks.all(axis=(1, 2, 3))[:, None]


def files_read(flags, config, images, masks):
    """The files of images and masks, resolved: those that were given, or those of the data set."""
    where = None if images else data_dir(config, flags)
    if where and is_of_files(flags.dataset or config.dataset, where):
        images = list_images(where, below=True)
    return {path.resolve() for path in (*images, *masks.files())}


def draw(flags, model, bound, classifier, cases, groups, output):
    """Completes the cases, group after group; `output` gets `results.jsonl` and, of files, each one's folder.

    `bound` is that of `evaluation.visible`. Returns all of it, `Drawn`.
    """
    from pcnn_keras.evaluation.classifier import classify
    from pcnn_keras.evaluation.visible import unlike
    from pcnn_keras.inference.sampling import inpaint

    folders = Folders(output) if cases.files else None
    parts: list[Drawn] = []
    begun = 0
    with open(output / RESULTS, "w", encoding="utf-8") as lines, \
            Progress("Drawing completions", len(cases)) as progress:
        for group in groups:
            def of_group(share, begun=begun, group=group):
                progress((begun + share * len(group)) / len(cases))

            flat = [*chain(*group)]
            images, masks = stacked(flat)
            result = inpaint(model, images, masks, flags.num_samples, flags.temperature, [case.seed for case in flat],
                             flags.sampler, progress=of_group, candidates=flags.candidates).ranked()
            drawn = Drawn(flat, result, which_to_show(flags, masks, result),
                          classify(classifier, result.samples, model.config.num_levels))
            for case, said in zip(flat, unlike(model, bound, result.first(), masks, [case.file for case in flat])):
                warn(case, said)
            end = 0
            for of_image in group:
                start, end = end, end + len(of_image)
                part, folder = drawn.part(start, end), folders and folders.of(of_image[0].file)
                if folder:
                    save_image(folder, part, model.config.num_levels)
                lines.writelines(records(part, folder))
            parts.append(drawn)
            begun += len(group)
    return Drawn.joined(parts)


def main():
    flags = parse()
    config = Config.of_model(flags.model)
    specs = flags.mask or [config.bottom]
    masks = Masks(specs, flags.mask_dir, (config.height, config.width), flags.mask_hides)
    if any(mask_kind(spec).name == "blobs" for spec in specs):
        import_tensorflow()  # which draws them
    groups, cases = None, file_cases(flags, config, masks)
    if cases:  # a mistake in the first ones is said before anything slow is imported
        groups = in_groups(cases, flags, masks)
        if not (first := next(groups, None)):
            raise cases.left_out()
        groups = chain([first], groups)

    # Graph rewrites take seconds before the first draw, and make drawing itself hardly faster.
    import_tensorflow().config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    from pcnn_keras.evaluation.classifier import find_classifier
    from pcnn_keras.evaluation.visible import load_bound
    from pcnn_keras.network.model import load
    from pcnn_keras.plots import MOST_ROWS, MOST_SHOWN

    files = cases.files if cases else ()
    given = files_read(flags, config, files, masks)
    expect_room(flags.output, files, given)
    earlier = {path for path in earlier_files(flags.output) if path.resolve() not in given}
    cases = cases or data_set_cases(flags, config, masks)
    model = load(flags.model)
    # The model's own examples are like what it knows: the pass that tells is saved.
    bound = load_bound(flags.model) if flags.image or not files else math.inf
    classifier = find_classifier(flags.model, config)
    with replacing_all(flags.output) as aside:
        drawn = draw(flags, model, bound, classifier, cases, groups or in_groups(cases, flags, masks), aside)
        first_rows = drawn.part(0, MOST_ROWS)
        written = [*save_completions(aside, drawn.completed(), config.num_levels), aside / RESULTS]
        if flags.progression:
            written.append(aside / PROGRESSION)
            draw_progressions(written[-1], model, first_rows)
        new = {flags.output / path.relative_to(aside) for path in aside.rglob("*")}
    removed = remove(earlier - new)
    if len(drawn.cases) > MOST_ROWS or drawn.kept.sum(axis=1).max() > MOST_SHOWN:
        print(f"{written[0].name} shows {MOST_ROWS} rows of {MOST_SHOWN} completions at most, "
              f"{written[1].name} has all.")
    tell(first_rows)
    folders = ", and a folder of pictures for each image" if cases.files else ""
    gone = f"; pictures of the run before that are gone: {removed} (another --output keeps them)" * bool(removed)
    print(f"Wrote {', '.join(str(flags.output / path.name) for path in written)}{folders}{gone}.")
    if cases.failed:
        raise cases.left_out()


def draw_progressions(path, model, drawn):
    """Of each case, how the probabilities sharpen while its likeliest completion is drawn."""
    from pcnn_keras.inference.progression import probability_progression
    from pcnn_keras.plots import progression_grid

    progressions = []
    with Progress("Drawing continuations") as progress:
        for i, case in enumerate(drawn.cases):
            def of_image(share, i=i):
                progress((i + share) / len(drawn.cases))

            progressions.append(probability_progression(model, case.image, case.mask, drawn.completions.samples[i, 0],
                                                        seed=case.seed, progress=of_image))
    progression_grid(path, *stacked(drawn.cases), progressions, [*map(label, drawn.cases)])
