"""Settings against each other at an equal budget: a row of a table for each variant.

    TFDS_DATA_DIR=… python experiments/compare.py --steps 1800 --output DIR \\
        "merge=sum" "merge=blocks conditioner=unet attention_heads=4"

A variant is a list of settings (fields of `Config`, several masks as `masks=blobs;none`), on top of `--base` and of
what all share; of MNIST, unless `--base` names another data set, with its size, channels and levels. Runs of one seed
see the same images under the same masks. Each is kept in DIR as a model folder, named by all that it was trained
with, and one that is there already is not trained again. Printed: seconds a step, seconds for 64 completions of an
image whose bottom quarter is visible, and, on the first test images under six masks, nats an image over hidden
pixels, and in brackets the standard deviation of the log importance weights over 32 completions (see
`evaluation.consistency`; the first `--drawn` images). Where a variant has more levels than the base, the
probabilities of those that are one level there are added up. It still sees the pixels before in all of its levels, so
that pictures have to decide.
"""

import json
import time
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from common import Program, in_turn, settings, train_steps

import pcnn_keras as pcnn


def train(config, levels, steps, folder):
    """Trains from fresh weights and keeps the model, and its seconds a step without the first ten."""
    from keras.callbacks import LambdaCallback

    from pcnn_keras.files import replacing

    model, marks = pcnn.build_model(config), []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: marks.append(time.perf_counter()))
    train_steps(model, levels, steps, callbacks=[watch])
    folder.mkdir(parents=True, exist_ok=True)
    seconds = (marks[-1] - marks[9]) / (len(marks) - 10)
    (folder / "seconds_per_step.json").write_text(json.dumps(seconds))
    config.save(folder / "config.json")
    with replacing(folder / "model.keras") as aside:
        model.save(aside)


def seconds_per_step(folder):
    """In words; of a run that `train.py` kept in a folder of this name, none."""
    path = folder / "seconds_per_step.json"
    return f"{json.loads(path.read_text()):.3f}" if path.is_file() else ""


def weight_sd(model, images, masks):
    """The mean over images of the standard deviation, over completions, of the log importance weights."""
    from pcnn_keras.inference.importance import log_weights

    drawn = pcnn.inpaint(model, images, masks, 32, seed=range(len(images)))
    return log_weights(model, drawn).std(axis=1, ddof=1).mean()


def nats_by_head(model, images, masks, num_levels, batch_size=100):
    """By head, the mean nats of an image over hidden pixels, told apart by so many levels."""
    from keras import ops

    from pcnn_keras.inference.likelihood import score, teacher_forced
    from pcnn_keras.inference.predict import batches

    finer = model.config.num_levels // num_levels

    def nats(logits, images, masks):
        logs = ops.reshape(ops.log_softmax(logits), (*logits.shape[:-1], num_levels, finer))
        return -score(ops.logsumexp(logs, axis=-1), images // finer, masks)

    found = [{name: nats(logits, x, m) for name, logits in teacher_forced(model, x, m).items()}
             for x, m in batches(batch_size, images, masks)]
    return {name: np.concatenate([part[name] for part in found]).mean() for name in found[0]}


def seconds_for_64(model, image):
    """What 64 completions take, of an image whose bottom quarter is visible."""
    return in_turn(5, draw=lambda: pcnn.inpaint(model, image, model.config.bottom, 64))["draw"]


def main():
    parser = Program(__doc__)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--base", default="prior_depth=7 conditioning_depth=7 batch_size=16 alpha=0.1")
    parser.add_argument("--data-dir", type=Path, help="as train.py's")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--drawn", type=int, default=40)
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16, see `training.precision`")
    parser.add_argument("--output", type=Path, required=True)
    flags = parser.parse_args()
    if flags.steps < 11:
        parser.error("argument --steps: at least 11, for its seconds are those of the steps after the tenth")

    from pcnn_keras.data.masks import mask_specs, parse_mask
    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.training.precision import bfloat16

    base = pcnn.Config().replace(**settings(flags.base))
    configs = {text: base.replace(**settings(text)) for text in flags.variants}
    for text, config in configs.items():
        if config.num_levels % base.num_levels:
            parser.error(f"{text}: as many levels as the base has, or a multiple of them")
    specs = mask_specs(base)
    masks = {name: np.stack([parse_mask(spec, base.height, base.width)(seed) for seed in range(flags.limit)])
             for name, spec in specs.items()}
    print("| variant | seed | parameters | s a step | s for 64 | head, blobs | "
          + " | ".join(f"`{name}`" for name in specs) + " |")
    print("| --- " * (6 + len(specs)) + "|", flush=True)
    for seed in flags.seeds:
        for text, config in configs.items():
            config = config.replace(seed=seed)
            images = load_model_images(config, data_dir=flags.data_dir)
            test = images.test[: flags.limit].astype(np.int32)
            parts = flags.base, text, flags.data_dir, "bfloat16" if flags.bfloat16 else None, flags.steps, seed
            name = " ".join(str(part) for part in parts if part is not None).replace(" ", "_").replace("/", "-")
            folder = flags.output / (name if len(name) < 200 else f"{name[:180]}_{zlib.crc32(name.encode()):08x}")
            if not (folder / "model.keras").is_file():
                with bfloat16() if flags.bfloat16 else nullcontext():
                    train(config, images.train, flags.steps, folder)
            model = pcnn.load(folder)
            nats = {name: nats_by_head(model, test, mask[: len(test)], base.num_levels)
                    for name, mask in masks.items()}
            spread = {name: weight_sd(model, test[: flags.drawn], mask[: flags.drawn]) for name, mask in masks.items()}
            cells = [text, seed, model.count_params(),
                     seconds_per_step(folder),
                     f"{seconds_for_64(model, test[0]):.2f}",
                     f"{nats['blobs']['conditional_logits']:.1f}",
                     *(f"{nats[name]['logits']:.2f} ({spread[name]:.1f})" for name in specs)]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
