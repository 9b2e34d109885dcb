"""Trains a Pixel Constrained CNN, or goes on with a run that was stopped."""

import os
import re
import shlex
from contextlib import nullcontext, suppress
from itertools import chain, count
from pathlib import Path

from pcnn_keras.commands.datasets import remember, remembered
from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.commands.outcome import calling
from pcnn_keras.config import PRESETS, Config, settings
from pcnn_keras.data.images import list_images
from pcnn_keras.data.masks import mask_kind, parse_mask
from pcnn_keras.data.prepare import LIKE_MNIST
from pcnn_keras.data.sources import is_of_files
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.files import CHECKPOINT, expect_files
from pcnn_keras.models import find_model
from pcnn_keras.quiet import import_tensorflow

FEW_STEPS = 1000
"""Of a run on own images: with fewer, `train.py` says that it is short."""

DATA_SETS = "mnist, celeba, digits, folder, or another image set of TFDS"


def parse():
    parser = Parser(__doc__)
    parser.add_images(DATA_SETS)
    parser.add_argument("--output", type=Path, help="folder of the run (default: saved_models/NAME)")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    start.add_argument("--preset", choices=PRESETS, help="settings to start from (default: the data set's, or mnist)")
    start.add_argument("--config", type=Path, metavar="FILE", help="any run's config.json, to start from its settings")
    start.add_argument("--weights", metavar="MODEL",
                       help="a model, by folder or name, to start from its settings and weights")
    parser.add_argument("--size", type=number(int, 1, 4096),
                        help="side in pixels: images are cropped to their centre square and resized to it")
    parser.add_argument("--grayscale", action="store_true", help="turn colour into grey")
    parser.add_argument("--strategy", default="single", choices=["single", "mirrored", "multiworker"],
                        help="one device, every GPU of this machine, or the machines of TF_CONFIG")
    parser.add_argument("--bfloat16", action="store_true",
                        help="multiply in bfloat16, where the processor has instructions for it")
    parser.add_argument("--depth", type=number(int, 0), help="--prior-depth and --conditioning-depth together")
    parser.add_settings(settings())
    flags = parser.parse_args()
    if flags.weights is not None:
        flags.weights = find_model(flags.weights)
    if not (flags.dataset or flags.resume or flags.preset or flags.config or flags.weights):
        parser.error(f"--dataset is needed: {DATA_SETS}")
    return flags


def given(flags):
    """The settings that flags say, by field."""
    both = {"prior_depth": flags.depth, "conditioning_depth": flags.depth}
    each = {name: getattr(flags, name, None) for name, _, _ in settings()}
    return {name: value for name, value in (*both.items(), *each.items()) if value is not None and name != "dataset"}


def starting_config(flags, output):
    """The settings before flags change any: the run's, the file's, or the preset's."""
    if flags.resume:
        expect_files(output, "config.json", CHECKPOINT, of="a run to resume")
        config = Config.load(output / "config.json")
    elif flags.config:
        config = Config.load(flags.config)
    elif flags.weights:
        config = Config.of_model(flags.weights)
    else:
        config = Config.preset(flags.preset or (flags.dataset if flags.dataset in PRESETS else "mnist"))
    return config.replace(dataset=flags.dataset or config.dataset)


def choose_output(flags, dataset):
    """The given folder, or of saved_models/NAME, NAME-2, … the first free one (resuming: of the latest checkpoint)."""
    if flags.output:
        return flags.output
    if not dataset:
        raise InputError("--resume needs --dataset or --output to find the run.")
    first = Path("saved_models", dataset)
    if not flags.resume:
        names = chain([first.name], (f"{first.name}-{number}" for number in count(2)))
        return next(path for path in map(first.with_name, names) if not os.path.lexists(path))
    begun = [path for path in first.parent.glob(f"*/{CHECKPOINT}")
             if re.fullmatch(re.escape(first.name) + "(-[0-9]+)?", path.parent.name)]
    if not begun:
        raise InputError(f"There is no run of {dataset} to resume in {first.parent}.")
    return max(begun, key=os.path.getmtime).parent


def claim(flags, dataset, output):
    """The run's folder, made: where it is not given and another run has been quicker, the next free one."""
    while not flags.output:
        try:
            output.mkdir(parents=True)
            break
        except FileExistsError:
            output = choose_output(flags, dataset)
    return output


def start(flags):
    """The settings before flags change any, and the run's folder.

    Raises:
        InputError: if a flag's value is out of range, before anything slow is imported.
    """
    if flags.resume:
        output = choose_output(flags, flags.dataset)
        config = starting_config(flags, output)
        flags.data_dir = flags.data_dir or remembered(output)
    else:
        config = starting_config(flags, None)
        output = choose_output(flags, config.dataset)
    if config.dataset == "folder" and not flags.data_dir:
        raise InputError("The data set 'folder' needs --data-dir: a folder of images.")
    of_files = is_of_files(config.dataset, flags.data_dir)
    if of_files and not flags.resume and _is_looked_at(output.resolve(), Path(flags.data_dir).resolve()):
        raise InputError(f"--output {output} lies in --data-dir {flags.data_dir}: the pictures of the run would be "
                         "taken for images of the set.")
    side = dict.fromkeys(("height", "width"), flags.size) if flags.size else {}
    mask_files = [spec for spec in config.replace(**given(flags), **side).masks if mask_kind(spec).name == "file"]
    if mask_files and of_files and not flags.resume:
        images = {path.resolve() for path in list_images(flags.data_dir, below=True)}
        if among := [spec for spec in mask_files if Path(spec).resolve() in images]:
            raise InputError(f"Mask {among[0]} lies in --data-dir {flags.data_dir}: it would be taken for an image.")
    return config, output


def _is_looked_at(path, folder):
    """Whether a folder is another one, or is below it but in no hidden folder."""
    return path.is_relative_to(folder) and not any(
        name.startswith(".") for name in path.relative_to(folder).parts)


def main():
    flags = parse()
    config, output = start(flags)
    tf = import_tensorflow()
    tf.config.experimental.enable_tensor_float_32_execution(True)  # samplers alone need more

    from pcnn_keras.training.devices import STRATEGIES

    strategy = STRATEGIES[flags.strategy]()  # TensorFlow wants several machines before anything else

    from keras.callbacks import LambdaCallback

    from pcnn_keras.network.model import load
    from pcnn_keras.training.precision import bfloat16
    from pcnn_keras.training.run_files import check_output
    from pcnn_keras.training.train import train

    if strategy.writes and not flags.resume:
        check_output(output)
    initial = load(flags.weights) if flags.weights else None
    asked, levels = read_data_set(flags, config)
    announce(asked, len(levels.train), begun=flags.weights or flags.resume)
    if strategy.writes and not flags.resume:
        output = claim(flags, asked.dataset, output)
    where = ["--data-dir", flags.data_dir] if flags.data_dir else []
    devices = ["--strategy", flags.strategy] if strategy.replicas > 1 else []
    devices += ["--bfloat16"] * flags.bfloat16
    resume = [*calling("train"), "--output", str(output), "--resume", *where, *devices]
    try:
        keep = [LambdaCallback(on_train_begin=lambda logs: remember(output, flags.data_dir))] * strategy.writes
        with bfloat16() if flags.bfloat16 else nullcontext():
            train(asked, levels, output, resume=flags.resume, strategy=strategy, initial=initial, callbacks=keep)
    except Stopped as stopped:
        if stopped.flags is None:
            raise
        raise Stopped(f"{stopped} To go on: {shlex.join([*resume, *stopped.flags.split()])}") from stopped
    finally:
        if not flags.output:
            with suppress(OSError):  # it holds something
                output.rmdir()
    if not strategy.writes:
        return
    print(f"The trained model is in {output}. Its visible.json and its export follow.", flush=True)
    tf.config.experimental.enable_tensor_float_32_execution(False)  # the bound is for scores of full precision
    try:
        finish(output, levels.validation)
    except KeyboardInterrupt:
        raise Stopped(f"The trained model is in {output}, but its visible.json and its export are not all there. "
                      f"To make them: {shlex.join(resume)}") from None
    way_on = [*calling("sample"), "--model", str(output), "--dataset", asked.dataset, *where]
    print(f"To draw completions with it:\n{shlex.join(way_on)}")


def announce(config, images, begun):
    """On what it trains, and what may be unexpected: few steps on own images, black and white, who judges."""
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    print(f"GPUs that TensorFlow finds: {gpus}" + "; training on the CPU." * (not gpus), flush=True)
    steps = config.steps_in_epoch(images) * config.epochs
    if config.dataset == "folder" and not begun and 0 < steps < FEW_STEPS:
        print(f"{steps:,} steps are few: the faces that ship took thousands. For more: --epochs N; or begin from a "
              "trained model: --weights MODEL.", flush=True)
    meant = begun or config.dataset in (*PRESETS, *LIKE_MNIST)
    if not meant and config.channels == 1 and config.num_levels == 2:
        print("2 levels are black and white; for shades of grey: --num-levels 16.", flush=True)
    kinds = {spec: mask_kind(spec).name for spec in config.masks}
    visible = [parse_mask(spec, config.height, config.width)(0).mean()
               for spec, kind in kinds.items() if kind == "file"]
    if visible:
        print(f"Mask files: {min(visible):.0%} to {max(visible):.0%} of each is white, which is visible.", flush=True)
    if "blobs" not in kinds.values():
        print("Held-out images, which the best weights go by, have blob masks, as in every run; this one's --masks are "
              "others. The last weights are kept as last.keras.", flush=True)


def finish(output, held_out):
    """What a trained model has beside it: from where on `sample.py` warns, and an export."""
    from pcnn_keras.evaluation.visible import save_bound
    from pcnn_keras.export.signatures import export
    from pcnn_keras.network.model import load

    model = load(output)
    save_bound(model, held_out, output)
    export(model, output / "serving")


def fitting(masks, height, width):
    """Those masks of another data set's preset that fit into images of this size."""
    fit = []
    for spec in masks:
        with suppress(InputError):
            parse_mask(spec, height, width)
            fit.append(spec)
    return tuple(fit)


def read_data_set(flags, config):
    """The settings and the images of a run.

    Args:
        config: as `start` found it.

    Returns:
        The `Config` of the run, of the images' size and channels, and their levels, `Splits`.
    """
    from pcnn_keras.data.sources import load_images

    changes = given(flags)
    as_config = flags.resume or flags.config or flags.weights  # a preset's size is that of its own data set
    size = flags.size or (config.height if as_config and config.height == config.width else None)
    images = load_images(config.dataset, flags.data_dir, size, flags.grayscale or (as_config and config.channels == 1),
                         changes.get("slices", config.slices))
    height, width, channels = images.train.shape[1:]
    if not as_config and (channels > config.channels or not (flags.preset or config.dataset in PRESETS)):
        changes = {"num_levels": 2 if channels == 1 else 32, **changes}
    if not as_config:  # the preset's own masks may go beyond images of another size
        changes = {"masks": fitting(config.masks, height, width), **changes}
    asked = config.replace(**{"height": height, "width": width, "channels": channels, **changes})
    levels = images.quantized(asked.num_levels)
    print(f"{asked.dataset}: {len(levels.train)} training, {len(levels.validation)} validation and "
          f"{len(levels.test)} test images of {width} x {height} pixels, {channels} channel(s), "
          f"{asked.num_levels} levels.", flush=True)
    return asked, levels
