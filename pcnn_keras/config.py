"""What a model is and how it is trained: one frozen dataclass and its presets.

A setting is declared once: its type, value, range, the flag that sets it, what the flag's help says, and
whether it may change while a run goes on. Checks, messages and the flags of `train` follow from that.
The presets "paper-mnist" and "paper-celeba" hold what appendix A of Dupont & Suresha (AISTATS 2019) fixes, the
others what measured best. Every field below "departures" is a setting of ours; docs/experiments.md says what
was measured.
"""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import pcnn_keras
from pcnn_keras.errors import InputError, expect_kind, shown
from pcnn_keras.files import expect_files, replacing

MOST_BLOBS = 1000
"""Blobs in a mask, and iterations of a blob."""

VERSION = "version"
"""In `config.json`, what it was written by. It is no setting."""

LOGISTICS = 4
"""In a mixture of them: each has a weight, a mean and a sharpness."""

MOST_VALUES = 2**28
"""Height x width x channels x levels of an image, x components: what is predicted of it takes a gigabyte."""

MOST_SAMPLES = 100_000
"""Completions of one image in one call."""


class Setting(NamedTuple):
    """What is declared of a field of `Config` beside its type and its value.

    Fields:
        help: what the flag's help says.
        least, most: the range of a number; None: open, a whole number being below 2^31 anyway.
        above: a number that it has to be above, or None.
        choices: the values that there are; (): not so few.
        flag: such as "--max-blobs"; None: the field's own name; "": there is no flag.
        changeable: whether it may change while a run goes on: network, images and masks stay as they are.
        network: whether the weights' shapes depend on it.
    """

    help: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    choices: tuple = ()
    flag: str | None = None
    changeable: bool = False
    network: bool = False

    def expected(self, value: Any) -> str | None:
        """What is expected instead of a value, in words; None if the value is fine."""
        if self.choices and value not in self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.above is not None and not value > self.above:
            return f"above {self.above}"
        least, most = self.least, self.most
        if (least is None or value >= least) and (most is None or value <= most):
            return None
        return f"at least {least}" if most is None else f"from {least} to {most}"


RETIRED = {"feature_stacks": "both"}
"""Settings of before, each with the value at which the network is today's."""


def setting(default: Any, help: str = "", **declared: Any) -> Any:
    """A field of `Config`; see `Setting`."""
    return dataclasses.field(default=default, metadata={"setting": Setting(help, **declared)})


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyperparameters of a Pixel Constrained CNN and of its training.

    Raises:
        InputError: naming the field, what was expected and what came.
    """

    dataset: str = setting("mnist", flag="")
    height: int = setting(28, least=1, flag="", network=True)  # of a U-Net: how often it halves
    width: int = setting(28, least=1, flag="", network=True)
    channels: int = setting(1, choices=(1, 3), flag="", network=True)  # grey, or red, then green, then blue
    num_levels: int = setting(2, "levels of each colour channel, 0 … N - 1", least=2, most=256, network=True)

    filters: int = setting(32, "width of both networks", least=1, network=True)
    prior_depth: int = setting(14, "gated blocks after the restricted one", least=0, network=True)
    conditioning_depth: int = setting(15, "residual blocks after the entry convolution", least=0, network=True)
    kernel_size: int = setting(5, "side of the kernels, odd", least=3, network=True)
    head_filters: int = setting(
        0, "width of the hidden 1 x 1 layer before the prior's logits; 0: none", least=0, network=True)

    alpha: float = setting(
        1.0, "weight of the conditional head's log-likelihood (equation 4)", least=0, changeable=True)
    learning_rate: float = setting(4e-4, "rate, as the paper gives it for Adam", above=0, changeable=True)
    batch_size: int = setting(64, "images per step", least=1)
    epochs: int = setting(50, "epochs to train for, those before a --resume included", least=1, changeable=True)
    steps_per_epoch: int = setting(0, "steps per epoch; 0: one pass over the training images", least=0)
    max_num_blobs: int = setting(4, "most blobs in a mask (Algorithm 1)", least=1, most=MOST_BLOBS, flag="--max-blobs")
    iter_min: int = setting(2, "fewest iterations of a blob", least=0, flag="--min-iters")
    iter_max: int = setting(7, "most iterations of a blob", least=0, most=MOST_BLOBS, flag="--max-iters")
    seed: int = setting(0, "makes a run repeatable", least=0, most=2**63 - 1)

    # Departures from the paper.
    merge: str = setting(
        "sum", "how the networks meet: in a sum (equation 3), in one weighted by location, or in every gated block",
        choices=("sum", "weighted", "blocks"), network=True)
    conditioner: str = setting(
        "residual", "the conditioning network: all blocks at full size, or on maps of ever half the size and back",
        choices=("residual", "unet"), network=True)
    attention_heads: int = setting(
        0, "heads of the self-attention at the U-Net's lowest resolution; 0: none", least=0, most=64, network=True)
    masks: tuple = setting(
        ("blobs",), "masks to train with, as sample.py's --mask has them, drawn evenly; one may be named several times")
    augmentation: str = setting(
        "none", "what is done to training images: nothing, or half of them, anew in each pass, turned left to right",
        choices=("none", "flip"))
    distribution: str = setting(
        "softmax", "what is predicted of a value: a logit for each level, or a mixture of logistics, which are ordered",
        choices=("softmax", "logistics"), network=True)
    slices: int = setting(
        1, "N x N interleaved parts that an image is drawn in, one after the other; above 1 with --merge blocks only",
        choices=(1, 2, 4), network=True)
    loss_pixels: str = setting(
        "all", "which the loss is over: all, as in the published code, or hidden, as in equation 2",
        choices=("all", "hidden"))
    schedule: str = setting(
        "cosine", "learning rate: warm-up and cosine, or constant, as in the paper", choices=("cosine", "constant"))
    schedule_peak: float = setting(5.0, "the cosine's highest rate, in units of --learning-rate", above=0)
    warmup_steps: int = setting(50, "steps over which the rate rises; at most a tenth of the run", least=0)
    optimizer: str = setting(
        "adam", "Adam, as in the paper, or Muon for kernels of convolutions but the last, and Adam for the rest",
        choices=("adam", "muon"))
    clip_norm: float = setting(
        1.0, "global norm at which gradients are clipped; 0: never", least=0, changeable=True)

    def __post_init__(self) -> None:
        for name, kind, declared in settings():
            _check(self, name, kind, declared)
        _check_together(self)

    @classmethod
    def preset(cls, name: str) -> "Config":
        """The configuration of one of the named experiments.

        Args:
            name: one of `PRESETS`; those that begin with "paper-" are all of the paper's own.

        Raises:
            InputError: if there is no preset of that name; lists those there are.
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise InputError(f"Unknown preset {shown(name)}. Expected one of: {', '.join(PRESETS)}.")
        return PRESETS[name]

    @property
    def slice_size(self) -> tuple[int, int]:
        """Height and width of what the prior runs over: the image's, or a slice's."""
        return self.height // self.slices, self.width // self.slices

    @property
    def conditioning_shape(self) -> tuple[int, int, int]:
        """Height, width and planes of what the conditioning network reads: see `data.slices.network_inputs`."""
        if self.slices == 1:
            return self.height, self.width, self.channels + 1
        height, width = self.slice_size
        return height + 1, width + 1, self.slices**2 * (self.channels + 2)

    @property
    def values_per_channel(self) -> int:
        """Outputs of a network for each colour channel of a pixel: see `distribution`."""
        return self.num_levels if self.distribution == "softmax" else 3 * LOGISTICS

    @property
    def blobs(self) -> str:
        """The blobs of the settings, as `parse_mask` takes them: what "blobs" in `masks` means."""
        return f"blobs:{self.max_num_blobs},{self.iter_min},{self.iter_max}"

    @property
    def bottom(self) -> str:
        """The bottom quarter, as `parse_mask` takes it: the mask of examples."""
        return f"bottom:{self.height // 4}"

    def steps_in_epoch(self, num_images: int) -> int:
        """How many steps an epoch has on so many training images."""
        return self.steps_per_epoch or num_images // self.batch_size

    def replace(self, **changes: Any) -> "Config":
        """A copy with some fields changed. Unknown names are an `InputError`."""
        return dataclasses.replace(self, **_expect_settings(changes))

    def obstacle(self, other: "Config") -> str | None:
        """The first setting because of which this cannot go on with a run of the `Config` `other`, or None.

        Mask files may have moved: their names count, not their folders.
        """
        mine, others = (vars(config) | {"masks": [*map(os.path.basename, config.masks)]} for config in (self, other))
        return next((name for name, _, declared in settings()
                     if mine[name] != others[name] and not declared.changeable), None)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain Python values, as JSON has them."""
        return {name: list(value) if type(value) is tuple else value for name, value in vars(self).items()}

    def in_words(self) -> dict[str, str]:
        """All fields as text, of several values side by side."""
        return {name: " ".join(value) if type(value) is tuple else str(value) for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Config":
        """The inverse of `to_dict`. Unknown names are an `InputError`."""
        if not isinstance(fields, dict):
            raise InputError(f"Expected a table of settings. Received: {type(fields).__name__}.")
        fields = dict(fields)
        for name, value in RETIRED.items():
            if (given := fields.pop(name, value)) != value:
                raise InputError(f"`{name}` is no longer a setting, but always {value}. Received: {shown(given)}.")
        return cls(**_expect_settings(fields))

    def save(self, path: Path | str) -> None:
        """Writes the fields as JSON, and under `VERSION` the package's version."""
        with replacing(path) as aside:
            aside.write_text(json.dumps({**self.to_dict(), VERSION: pcnn_keras.__version__}, indent=2) + "\n",
                             encoding="utf-8")

    @classmethod
    def of_model(cls, folder: Path) -> "Config":
        """The settings in the folder of a trained model."""
        expect_files(folder, "config.json")
        return cls.load(folder / "config.json")

    @classmethod
    def load(cls, path: Path | str) -> "Config":
        """Reads what `save` wrote, in whatever version. An `InputError` names the file and what is wrong in it."""
        expect_kind("path", path, (str, os.PathLike))
        if not os.path.isfile(path):  # what comes through a pipe may never come
            raise InputError(f"{path} is not a file.")
        written_by = pcnn_keras.__version__
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
            if isinstance(fields, dict):
                written_by = fields.pop(VERSION, written_by)
            return cls.from_dict(fields)
        except (OSError, ValueError, RecursionError) as error:  # a JSON or Unicode error is a ValueError, too
            other = "" if written_by == pcnn_keras.__version__ else (
                f" It was written by version {shown(written_by)} of pcnn_keras, and this is {pcnn_keras.__version__}.")
            raise InputError(f"{path}: {error}{other}") from error


def settings() -> list[tuple[str, Any, Setting]]:
    """The fields of `Config`, in order: name, type, `Setting`."""
    return [(field.name, field.type, field.metadata["setting"]) for field in dataclasses.fields(Config)]


def _expect_settings(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - {name for name, _, _ in settings()}
    if unknown:
        raise InputError(f"Unknown setting(s): {', '.join(sorted(map(shown, unknown)))}.")
    return fields


def _check(config: Config, name: str, kind: Any, declared: Setting) -> None:
    value: Any = getattr(config, name)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 2**1000 else math.inf
    elif kind is tuple and type(value) is list:  # as JSON has it
        value = tuple(value)
    object.__setattr__(config, name, value)
    if type(value) is not kind:
        raise InputError(f"`{name}` must be of type {kind.__name__}. Received: {shown(value)}.")
    if kind is float and not math.isfinite(value):
        raise InputError(f"`{name}` must be a finite number. Received: {shown(value)}.")
    if kind is int and declared.most is None and abs(value) >= 2**31:
        raise InputError(f"`{name}` must be below 2^31. Received: {shown(value)}.")
    _expect(config, name, declared.expected(value))


def _expect(config: Config, name: str, expected: str | None) -> None:
    if expected:
        raise InputError(f"`{name}` must be {expected}. Received: {shown(getattr(config, name))}.")


def _check_together(config: Config) -> None:
    """What a declaration cannot say by itself."""
    channels, larger = config.channels, "width" if config.width > config.height else "height"
    components = 1 if config.distribution == "softmax" else LOGISTICS
    values = config.height * config.width * channels * config.num_levels * components
    for name, fine, expected in (
            ("filters", config.filters >= channels, f"at least `channels` ({channels})"),
            ("head_filters", not 0 < config.head_filters < channels, f"0 or at least `channels` ({channels})"),
            ("kernel_size", config.kernel_size % 2, "odd and at least 3"),
            ("iter_max", config.iter_max >= config.iter_min, f"at least `iter_min` ({config.iter_min})"),
            ("attention_heads", not config.attention_heads or config.conditioner == "unet",
             "0 unless `conditioner` is 'unet'"),
            ("slices", config.slices == 1 or config.merge == "blocks", "1 unless `merge` is 'blocks'"),
            ("height", not config.height % config.slices, f"divisible by `slices` ({config.slices})"),
            ("width", not config.width % config.slices, f"divisible by `slices` ({config.slices})"),
            (larger, values <= MOST_VALUES,
             f"smaller: `height` x `width` x `channels` x `num_levels`{f' x {components}' * (components > 1)} is "
             f"{values}, above {MOST_VALUES}"),
            ("masks", config.masks and {*map(type, config.masks)} == {str}, "a list of mask specifications")):
        _expect(config, name, None if fine else expected)


PAPER: dict[str, Any] = {"schedule": "constant", "loss_pixels": "hidden", "clip_norm": 0.0}
"""Where the paper is not silent: the rate, the loss of equation 2, gradients as they are."""

CELEBA: dict[str, Any] = {
    "dataset": "celeba", "height": 32, "width": 32, "channels": 3, "num_levels": 32, "filters": 66, "prior_depth": 16,
    "head_filters": 1023,
}
"""The images, and the prior of the paper's size."""

MEASURED: dict[str, Any] = {
    "merge": "blocks", "conditioner": "unet", "attention_heads": 4, "conditioning_depth": 10, "alpha": 0.1,
    "batch_size": 16, "optimizer": "muon",
}
"""What measured best (docs/experiments.md), mostly on MNIST."""

PRESETS = {
    "mnist": Config(
        epochs=8, schedule_peak=2.0, **MEASURED,
        masks=("blobs", "blobs", "blobs", "blobs", "random:0.15", "bottom:7", "left:14", "none"),
    ),
    "celeba": Config(
        epochs=12, augmentation="flip", distribution="logistics", **CELEBA, **MEASURED,
        masks=("blobs", "blobs", "blobs", "blobs", "random:0.15", "bottom:8", "left:16", "none"),
    ),
    "digits": Config(
        dataset="digits", height=8, width=8, num_levels=4, filters=16, prior_depth=3,
        conditioning_depth=3, kernel_size=3, learning_rate=2e-3, epochs=20, max_num_blobs=2,
        iter_min=1, iter_max=2, merge="blocks", conditioner="unet", attention_heads=2, alpha=0.1, optimizer="muon",
        masks=("blobs", "blobs", "blobs", "blobs", "random:0.15", "bottom:2", "left:4", "none"),
    ),
    "paper-mnist": Config(**PAPER),
    "paper-celeba": Config(conditioning_depth=17, epochs=60, **CELEBA, **PAPER),
}
