"""What the page of `demo` is made of, as plain functions: models, masks, completions, HTML, files. No Gradio."""

import base64
import functools
import shlex
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcnn_keras.data.images import list_images, png, read_image
from pcnn_keras.data.masks import mask_kind, parse_mask
from pcnn_keras.data.pixels import expected_bytes, quantize, to_bytes
from pcnn_keras.data.prepare import WAYS, prepare
from pcnn_keras.errors import InputError, shown
from pcnn_keras.evaluation.classifier import classify, find_classifier
from pcnn_keras.evaluation.visible import load_bound, unlike
from pcnn_keras.inference.completions import Completed, Completions, save_completions
from pcnn_keras.inference.inputs import check_images, read_inputs
from pcnn_keras.inference.likelihood import pixel_probabilities
from pcnn_keras.inference.progression import progression_stages
from pcnn_keras.inference.sampling import inpaint
from pcnn_keras.models import shipped_models
from pcnn_keras.network.model import load
from pcnn_keras.plots import bar_lengths, probability_colours, probability_map

MOST = 64
"""Most completions at a time."""

FIRST = 16
"""As many are shown before the others are drawn."""

CANDIDATES = 4
"""Times as many as are shown are drawn to choose by importance."""

ROWS, STAGES = 32, 12
"""A progression has a stage for each row that is drawn, of up to so many rows; of more, so many stages."""

CONTINUED = 32 * 28 * 28
"""Values in the continuations, 8 to 64, over which a stage's probabilities are averaged: 32 of MNIST's."""


class Opened(NamedTuple):
    """A model; pictures to begin with, levels `(n, height, width, channels)`; its `load_bound` and its classifier."""

    folder: Path
    model: Any
    examples: np.ndarray
    bound: float
    classifier: Any = None


class Result(NamedTuple):
    """What was asked for, one image and mask as in `inpaint`, and its `Completions`, most likely first.

    `classes` is what `classify` says of them, `candidates` is `inpaint`'s.
    """

    opened: Opened
    image: np.ndarray
    mask: np.ndarray
    temperature: float
    seed: int
    completions: Any
    classes: dict
    candidates: int | None = None


@functools.cache
def open_model(folder):
    """Loads a model and has it draw once, so that the next time is quick."""
    model = load(folder)
    size = (model.config.height, model.config.width)
    drawn = inpaint(model, np.zeros((*size, model.config.channels), int), np.zeros((*size, 1), int), 8).samples
    if (folder / "examples").is_dir():
        drawn, *_ = read_inputs(model.config, list_images(folder / "examples")[:16], "all")
    return Opened(folder, model, drawn, load_bound(folder), find_classifier(folder, model.config))


def canvas(image, mask, num_levels):
    """What `demo.js` shows and hands back, from levels `(height, width, channels)` and mask `(height, width, 1)`."""
    height, width, channels = image.shape
    return {"height": height, "width": width, "channels": channels, "highest": num_levels - 1,
            "levels": image.ravel().tolist(), "mask": mask.ravel().tolist()}


def painted(value, config):
    """Image and mask from what the canvas handed back; `InputError` if it does not fit the model."""
    shape = (1, config.height, config.width)
    try:
        image = np.reshape(value["levels"], (*shape, config.channels))
        mask = np.reshape(value["mask"], (*shape, 1))
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"The picture is not of {config.width} x {config.height} pixels.") from error
    images, masks = check_images(config, image, mask)
    return images[0], masks[0]


def presets(config):
    """Masks to choose from, of a size that fits the image."""
    height, width = config.height, config.width
    return [config.bottom, f"top:{height // 2}", f"left:{width // 2}", f"right:{width // 2}",
            f"center:{min(height, width) // 2}", f"edge:{min(height, width) // 7}", "random:0.15",
            config.blobs, "none", "all"]


def make_mask(spec, config, seed):
    """A mask from a specification as `--mask` takes it, except that no file is read.

    Raises:
        InputError: if it is not one, or its blobs would take too long.
    """
    kind = mask_kind(spec, files=False)
    if kind.name == "blobs" and max(kind.numbers) > 99:
        raise InputError(f"Mask {spec[:40]!r}: at most 99 blobs of 99 iterations.")
    return parse_mask(spec, config.height, config.width)(seed)


def read_upload(path, config, way="auto"):
    """Levels `(height, width, channels)` of an uploaded file, prepared as `sample.py` does; what was done, in words.

    `way` is one of `WAYS`. The error does not name the file's place.
    """
    if way not in WAYS:
        raise InputError(f"A picture is prepared as one of {', '.join(WAYS)}. Received: {shown(way)}.")
    try:
        picture = prepare(read_image(path, config.channels), config, way)
        return quantize(picture.image(), config.num_levels), picture.done
    except InputError as error:
        raise InputError(str(error).replace(str(path), "The file")) from error


def complete(opened, image, mask, count, temperature, seed, importance=False, progress=None):
    """Draws completions: yields a `Result` with the first few, then one with all; by importance one with all.

    `progress` is `inpaint`'s; what it raises ends the drawing.
    """
    if mask.all():
        raise InputError("Nothing is hidden: rub out a part of the picture, or choose a mask.")
    if not 1 <= count <= MOST:
        raise InputError(f"The number of completions must be from 1 to {MOST}. Received: {count}.")

    def result(completions, candidates=None):
        classes = classify(opened.classifier, completions.samples[None], opened.model.config.num_levels)
        return Result(opened, image, mask, float(temperature), int(seed), completions, classes, candidates)

    draw = functools.partial(inpaint, opened.model, image, mask, temperature=temperature, seed=seed, progress=progress)
    if importance:
        candidates = CANDIDATES * count
        yield result(draw(num_samples=count, candidates=candidates).ranked(), candidates)
        return
    drawn = []
    for start, end in ((0, min(FIRST, count)), (FIRST, count)):
        if start < end:
            drawn.append(draw(num_samples=end - start, first=start))
            yield result(Completions(*map(np.concatenate, zip(*drawn))).ranked())


def warning(result):
    """That what is visible is unlike what the model knows, in words; "" if it is not, or the model has no bound."""
    opened = result.opened
    said, = unlike(opened.model, opened.bound, result.completions.first()[None], result.mask[None])
    return f"{said[0].upper()}{said[1:]}." if said else ""


def picture(pixels, alt):
    """An HTML image with its bytes inside."""
    pictures = pixels if isinstance(pixels, list) else [pixels]
    data = base64.b64encode(png(*pictures)).decode()
    return f'<img alt="{alt}" src="data:image/png;base64,{data}">'


def figure(name, image, text, below=""):
    """A picture with its caption, and a link to download it."""
    source = image.split('src="')[1].split('"')[0]
    return (f'<figure>{image}<figcaption><b>{name}</b> {text} '
            f'<a download="{name.lower()}.png" href="{source}">PNG</a>{below}</figcaption></figure>')


def buttons(each, width):
    """A grid of HTML buttons with pictures, which have room for a `width` of so many pixels."""
    return f'<div class="buttons" style="--side: {width + 12}px">{"".join(each)}</div>'


def example_buttons(opened):
    """The pictures to begin with, as HTML."""
    shown = to_bytes(opened.examples, opened.model.config.num_levels)
    return buttons((f'<button data-index="{i}">{picture(pixels, f"example {i + 1}")}</button>'
                    for i, pixels in enumerate(shown)), shown.shape[2])


def completion_buttons(result, kept, chosen):
    """The likeliest `kept` completions with their bars and classes, as HTML; number `chosen` looks pressed."""
    nats = result.completions.log_likelihood
    names = [f"<b>{name}</b> " for name in result.classes["likeliest_class"][0]] if result.classes else [""] * len(nats)
    shown = to_bytes(result.completions.samples[:kept], result.opened.model.config.num_levels)
    legend = ("<p>Log-likelihood of what was drawn, in nats: the higher, the likelier. "
              "The bar is full for the likeliest and empty for the least likely of all drawn."
              f"{' In bold: what a classifier takes it for.' * bool(result.classes)}</p>")
    return legend + buttons((
        f'<button data-index="{i}" aria-pressed="{str(i == chosen).lower()}">'
        f'{picture(pixels, f"completion {i + 1}, log-likelihood {value:.1f} nats")}'
        f'<span class="bar"><span style="width:{length:.0%}"></span></span><small>{name}{value:.1f}</small></button>'
        for i, (pixels, name, value, length) in enumerate(zip(shown, names, nats, bar_lengths(nats)))), shown.shape[2])


def mean_and_probability(result, kept, chosen):
    """The mean of the `kept` likeliest completions, and the probabilities of number `chosen`, as HTML."""
    num_levels = result.opened.model.config.num_levels
    sample = result.completions.samples[chosen]
    mean = to_bytes(result.completions.samples[:kept], num_levels).mean(axis=0).round().astype(np.uint8)
    probabilities = pixel_probabilities(result.opened.model, sample[None], result.mask[None])[0]
    heat = probability_map(probabilities, sample, result.mask, num_levels)
    scale = picture(probability_colours(np.linspace(0, 1, 64))[None], "colours from 0 to 1")
    return ('<div class="figures">'
            + figure("Mean", picture(mean, "mean of the completions"), f"of the {kept} shown")
            + figure("Probability", picture(heat, "probability of each pixel"),
                     f"of each drawn pixel of completion {chosen + 1}", f'<span class="scale">0 {scale} 1</span>')
            + '</div>')


def progression(result, chosen):
    """Yields HTML: how the probabilities of a completion sharpen as it is drawn, then all of it as a moving picture."""
    model, hidden, frames = result.opened.model, result.mask == 0, []
    stages = STAGES if model.config.height * model.config.slices > ROWS else None
    continuations = int(np.clip(CONTINUED // result.image.size, 8, 64))
    for stage in progression_stages(model, result.image, result.mask, result.completions.samples[chosen], stages,
                                    continuations, result.seed):
        frames.append(expected_bytes(stage.probabilities))
        yield figure("Progression", picture(frames[-1], "expected level of each pixel"),
                     f"of completion {chosen + 1}: {stage.known[hidden].mean():.0%} drawn")
    yield figure("Progression", picture(frames, "expected level of each pixel, stage by stage"),
                 f"of completion {chosen + 1}, stage by stage")


def command(result, kept):
    """The command line that draws these completions again, beside the downloaded image.png and mask.png."""
    count, folder = len(result.completions.draw), result.opened.folder
    model = folder.name if folder == shipped_models().get(folder.name) else folder
    words = ["python", "-m", "pcnn_keras", "sample", "--model", model, "--image", "image.png",
             "--prepare", "none", "--mask", "mask.png", "--num-samples", count, "--temperature", result.temperature,
             "--seed", result.seed]
    words += ["--candidates", result.candidates] if result.candidates else []
    return shlex.join(map(str, words + (["--keep-best", kept] if kept < count else [])))


def save(result, kept, folder):
    """Writes what the command line needs and what it makes; returns the paths, an archive of them all first."""
    num_levels = result.opened.model.config.num_levels
    inputs = {"image.png": png(to_bytes(result.image, num_levels)), "mask.png": png(to_bytes(result.mask, 2)),
              "command.txt": f"{command(result, kept)}\n".encode()}
    for name, content in inputs.items():
        (folder / name).write_bytes(content)
    shown = np.arange(len(result.completions.draw)) < kept
    completions = Completions(*(field[None] for field in result.completions))
    written = save_completions(folder, Completed(result.image[None], result.mask[None], completions, shown[None],
                                                 ["image.png, mask.png"], result.classes), num_levels)
    written += [folder / name for name in inputs]
    with zipfile.ZipFile(folder / "completions.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in written:
            archive.write(path, path.name)
    return [folder / "completions.zip", *written]
