"""Trains a Pixel Constrained CNN: `python train.py --dataset mnist`."""

import shlex
from contextlib import suppress
from pathlib import Path

from pcnn_keras.commands.cli import Parser, import_tensorflow, number, run
from pcnn_keras.config import PRESETS, Config
from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.files import CHECKPOINT

SETTINGS = {  # flag: (field of Config, type, help)
    "--epochs": ("epochs", int, "epochs to train for, those before a --resume included"),
    "--steps-per-epoch": ("steps_per_epoch", int, "steps an epoch; 0, the default: one pass over the images"),
    "--batch-size": ("batch_size", int, "images a step"),
    "--learning-rate": ("learning_rate", float, "rate of Adam, as the paper gives it"),
    "--alpha": ("alpha", float, "weight of the conditional head's loss (equation 4)"),
    "--num-levels": ("num_levels", int, "levels of each colour channel, 2 to 256"),
    "--filters": ("filters", int, "width of both networks"),
    "--kernel-size": ("kernel_size", int, "side of the kernels, odd"),
    "--head-filters": ("head_filters", int, "width of the hidden layer before the prior's logits; 0: none"),
    "--max-blobs": ("max_num_blobs", int, "most blobs in a mask (Algorithm 1)"),
    "--min-iters": ("iter_min", int, "fewest iterations of a blob"),
    "--max-iters": ("iter_max", int, "most iterations of a blob"),
    "--seed": ("seed", int, "makes a run repeatable"),
    "--loss-pixels": ("loss_pixels", str, "which the loss is over: 'all' (published code) or 'hidden' (equation 2)"),
    "--schedule": ("schedule", str, "learning rate: 'cosine' or, as in the paper, 'constant'"),
    "--schedule-peak": ("schedule_peak", float, "the cosine's highest rate, in units of --learning-rate"),
    "--warmup-steps": ("warmup_steps", int, "steps over which the rate rises; at most a tenth of the run"),
    "--clip-norm": ("clip_norm", float, "global norm at which gradients are clipped; 0: never"),
}


def parse():
    parser = Parser(__doc__)
    parser.add_images("mnist, celeba, digits, folder, or another image set of TFDS")
    parser.add_argument("--output", type=Path, help="folder of the run (default: saved_models/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    parser.add_argument("--size", type=number(int, 1, 4096), help="side that images are brought to, in pixels")
    parser.add_argument("--grayscale", action="store_true", help="turn colour into grey")
    parser.add_argument("--strategy", default="single", choices=["single", "mirrored", "multiworker"],
                        help="one device, every GPU of this machine, or the machines of TF_CONFIG")
    parser.add_argument("--depth", type=number(int, 0), help="gated blocks, and residual blocks")
    for flag, (field, kind, text) in SETTINGS.items():
        parser.add_argument(flag, dest=field, type=kind if kind is str else number(kind), help=text)
    flags = parser.parse_args()
    if not flags.dataset and not flags.resume:
        parser.error("--dataset is needed: mnist, celeba, digits, folder, or another image set of TFDS")
    return flags


def choose_output(flags):
    """The given folder, or the first free one (resuming: the last used) of saved_models/NAME, NAME-2, …"""
    if flags.output:
        return flags.output
    if not flags.dataset:
        raise InputError("--resume needs --dataset or --output to find the run.")
    used, count = None, 1
    while (folder := Path("saved_models", flags.dataset + (f"-{count}" if count > 1 else ""))).exists():
        used, count = folder, count + 1
    if flags.resume and not used:
        raise InputError(f"There is no run to resume in {folder}.")
    return used if flags.resume else folder


def claim(flags, output):
    """The run's folder, made: where it is not given and another run has been quicker, the next free one."""
    while not flags.output:
        try:
            output.mkdir(parents=True)
            break
        except FileExistsError:
            output = choose_output(flags)
    return output


def main():
    flags = parse()
    output = choose_output(flags)
    given = {field: getattr(flags, field) for field, _, _ in SETTINGS.values()}
    given = {field: value for field, value in given.items() if value is not None}
    if flags.depth is not None:
        given |= {"prior_depth": flags.depth, "conditioning_depth": flags.depth}
    if flags.resume:
        if not (output / "config.json").is_file():
            raise InputError(f"{output} holds no run to resume.")
        if not (output / CHECKPOINT).is_file():
            raise InputError(f"{output} holds no {CHECKPOINT} to resume from.")
        config = Config.load(output / "config.json")
        dataset = flags.dataset or config.dataset
    else:
        dataset = flags.dataset
        config = Config.preset(dataset if dataset in PRESETS else "mnist").replace(dataset=dataset)
    if dataset == "folder" and not flags.data_dir:
        raise InputError("The data set 'folder' needs --data-dir: a folder of images.")
    config.replace(**given)  # a value out of range is said before anything is loaded

    import_tensorflow()
    from pcnn_keras.training.devices import STRATEGIES

    strategy = STRATEGIES[flags.strategy]()  # TensorFlow wants several machines before anything else
    from pcnn_keras.data.pixels import quantize
    from pcnn_keras.data.sources import Images, load_images
    from pcnn_keras.export.signatures import export
    from pcnn_keras.network.model import load
    from pcnn_keras.training.train import check_output, train

    if strategy.writes and not flags.resume:
        check_output(output)
    size = flags.size or (config.height if flags.resume and config.height == config.width else None)
    images = load_images(dataset, flags.data_dir, size, flags.grayscale or (flags.resume and config.channels == 1))
    height, width, channels = images.train.shape[1:]
    if dataset not in PRESETS and "num_levels" not in given and not flags.resume:
        given["num_levels"] = 2 if channels == 1 else 32
    asked = config.replace(dataset=dataset, height=height, width=width, channels=channels, **given)
    levels = Images(*(quantize(part, asked.num_levels) for part in images))
    print(f"{dataset}: {len(levels.train)} training, {len(levels.validation)} validation and "
          f"{len(levels.test)} test images of {width} x {height} pixels, {channels} channel(s), "
          f"{asked.num_levels} levels.", flush=True)
    where = ["--data-dir", flags.data_dir] if flags.data_dir else []
    if strategy.writes and not flags.resume:
        output = claim(flags, output)
    try:
        train(asked, levels, output, resume=flags.resume, strategy=strategy)
    except Stopped as stopped:
        if stopped.flags is None:
            raise
        if strategy.replicas > 1:
            where += ["--strategy", flags.strategy]
        way_on = ["python", "train.py", "--output", str(output), "--resume", *where, *stopped.flags.split()]
        raise Stopped(f"{stopped} To go on: {shlex.join(way_on)}") from stopped
    finally:
        if not flags.output:
            with suppress(OSError):  # it holds something
                output.rmdir()
    if not strategy.writes:
        return
    export(load(output), output / "serving")
    command = ["python", "sample.py", "--model", str(output), "--dataset", dataset, *where]
    print(f"The trained model is in {output}. To draw completions with it:\n{shlex.join(command)}")


if __name__ == "__main__":
    run(main)
