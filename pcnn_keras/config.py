"""What a model is and how it is trained: one frozen dataclass and the paper's presets.

The presets hold what appendix A of Dupont & Suresha (AISTATS 2019) fixes. Every field below
"departures" is a setting of ours; README.md lists each, docs/experiments.md what was measured.
"""

import dataclasses
import json
import math
from pathlib import Path

from pcnn_keras.errors import InputError
from pcnn_keras.files import replacing

MOST_BLOBS = 1000
"""Blobs in a mask, and iterations of a blob."""

MOST_SAMPLES = 100_000
"""Completions of one image in one call."""

CHANGEABLE = ("alpha", "clip_norm", "epochs", "learning_rate")
"""Settings that may change while a run goes on: they leave the network, its images and its masks as they are."""


CHOICES = {
    "merge": ("sum", "weighted", "blocks"),
    "feature_stacks": ("both", "vertical", "horizontal"),
    "conditioner": ("residual", "unet"),
    "loss_pixels": ("all", "hidden"),
    "schedule": ("cosine", "constant"),
}
"""The settings that are one of several words."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyperparameters of a Pixel Constrained CNN and of its training.

    Raises:
        InputError: naming the field, what was expected and what came.
    """

    dataset: str = "mnist"
    height: int = 28
    width: int = 28
    channels: int = 1  # 1 (grey) or 3 (red, then green, then blue)
    num_levels: int = 2  # a pixel's channel holds an integer in 0 … num_levels - 1

    filters: int = 32
    prior_depth: int = 14  # gated blocks after the restricted one
    conditioning_depth: int = 15  # residual blocks after the entry convolution
    kernel_size: int = 5
    head_filters: int = 0  # width of the prior's hidden 1 x 1 layer before the logits; 0: none

    alpha: float = 1.0  # weight of the conditional head's log-likelihood, equation 4
    learning_rate: float = 4e-4
    batch_size: int = 64
    epochs: int = 50
    steps_per_epoch: int = 0  # 0: one pass over the training images
    max_num_blobs: int = 4
    iter_min: int = 2
    iter_max: int = 7
    seed: int = 0

    # Departures from the paper.
    merge: str = "sum"  # equation 3; "weighted": weights by location; "blocks": features in every gated block too
    feature_stacks: str = "both"  # which stacks those features enter: "vertical", "horizontal" or "both"
    conditioner: str = "residual"  # "unet": the same blocks on maps of ever half the size and back
    attention_heads: int = 0  # of the self-attention at the U-Net's lowest resolution; 0: none
    masks: tuple = ("blobs",)  # `--mask` specifications, drawn evenly for each training image
    slices: int = 1  # an image is drawn in `slices * slices` interleaved parts (1, 2 or 4); only with merge "blocks"
    loss_pixels: str = "all"  # as in the published code; "hidden": only what equation 2 has
    schedule: str = "cosine"  # "constant": the paper's fixed rate
    schedule_peak: float = 5.0  # the cosine's highest rate, as a multiple of `learning_rate`
    warmup_steps: int = 50  # at most a tenth of the run
    clip_norm: float = 1.0  # global norm at which gradients are clipped; 0: never

    def __post_init__(self):
        _check(self)

    @classmethod
    def preset(cls, name):
        """The configuration of one of the named experiments.

        Args:
            name: "mnist", "celeba" (appendix A) or "digits" (a minute on two cores).

        Raises:
            InputError: if there is no preset of that name; lists those there are.
        """
        if name not in PRESETS:
            raise InputError(f"Unknown preset {name!r}. Expected one of: {', '.join(PRESETS)}.")
        return PRESETS[name]

    @property
    def slice_size(self):
        """Height and width of what the prior runs over: the image's, or a slice's."""
        return self.height // self.slices, self.width // self.slices

    @property
    def conditioning_shape(self):
        """Height, width and planes of what the conditioning network reads: see `data.slices.network_inputs`."""
        if self.slices == 1:
            return self.height, self.width, self.channels + 1
        height, width = self.slice_size
        return height + 1, width + 1, self.slices**2 * (self.channels + 2)

    @property
    def blob_settings(self):
        """What `random_blob_masks` takes after the size: the masks that the model is trained with."""
        return self.max_num_blobs, self.iter_min, self.iter_max

    @property
    def blobs(self):
        """The same masks as `parse_mask` takes them."""
        return f"blobs:{','.join(map(str, self.blob_settings))}"

    def replace(self, **changes):
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def continues(self, other):
        """Whether this may go on with a run of the `Config` `other`: all but `CHANGEABLE` is the same."""
        return self == other.replace(**{name: getattr(self, name) for name in CHANGEABLE})

    def to_dict(self):
        """All fields as plain Python values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """The inverse of `to_dict`. Unknown names are an `InputError`."""
        if not isinstance(fields, dict):
            raise InputError(f"Expected a table of settings. Received: {type(fields).__name__}.")
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise InputError(f"Unknown setting(s): {', '.join(unknown)}.")
        return cls(**fields)

    def save(self, path):
        """Writes the fields as JSON."""
        with replacing(path) as aside:
            aside.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote. An `InputError` names the file and what is wrong in it."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:  # a JSON or Unicode error is a ValueError, too
            raise InputError(f"{path}: {error}") from error


def _check(config):
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), field.type
        if kind is float and type(value) is int:
            object.__setattr__(config, field.name, float(value))
        elif kind is tuple and type(value) is list:  # as JSON has it
            object.__setattr__(config, field.name, tuple(value))
        elif type(value) is not kind:
            raise InputError(f"`{field.name}` must be of type {kind.__name__}. Received: {value!r}.")
        if kind is int and field.name != "seed" and abs(value) >= 2**31:
            raise InputError(f"`{field.name}` must be below 2^31. Received: {value}.")
        if kind is float and not math.isfinite(value):
            raise InputError(f"`{field.name}` must be a finite number. Received: {value}.")

    def expect(name, fine, expected):
        if not fine:
            raise InputError(f"`{name}` must be {expected}. Received: {getattr(config, name)!r}.")

    for name in ("height", "width", "batch_size", "epochs", "max_num_blobs"):
        expect(name, getattr(config, name) >= 1, "at least 1")
    expect("channels", config.channels in (1, 3), "1 or 3")
    expect("num_levels", 2 <= config.num_levels <= 256, "from 2 to 256")
    expect("filters", config.filters >= config.channels, f"at least `channels` ({config.channels})")
    expect("kernel_size", config.kernel_size >= 3 and config.kernel_size % 2, "odd and at least 3")
    for name in ("prior_depth", "conditioning_depth", "steps_per_epoch", "warmup_steps", "iter_min"):
        expect(name, getattr(config, name) >= 0, "at least 0")
    expect("head_filters", config.head_filters == 0 or config.head_filters >= config.channels,
           f"0 or at least `channels` ({config.channels})")
    for name, choices in CHOICES.items():
        expect(name, getattr(config, name) in choices, f"one of {', '.join(choices)}")
    expect("slices", config.slices in (1, 2, 4), "1, 2 or 4")
    expect("slices", config.slices == 1 or config.merge == "blocks", "1 unless `merge` is 'blocks'")
    for name in ("height", "width"):
        expect(name, not getattr(config, name) % config.slices, f"divisible by `slices` ({config.slices})")
    expect("attention_heads", 0 <= config.attention_heads <= 64, "from 0 to 64")
    expect("masks", config.masks and all(type(spec) is str for spec in config.masks), "a list of mask specifications")
    expect("alpha", config.alpha >= 0, "at least 0")
    expect("learning_rate", config.learning_rate > 0, "above 0")
    expect("iter_max", config.iter_max >= config.iter_min, f"at least `iter_min` ({config.iter_min})")
    for name in ("max_num_blobs", "iter_max"):
        expect(name, getattr(config, name) <= MOST_BLOBS, f"at most {MOST_BLOBS}")
    expect("seed", 0 <= config.seed < 2**63, "from 0 to 2^63 - 1")
    expect("schedule_peak", config.schedule_peak > 0, "above 0")
    expect("clip_norm", config.clip_norm >= 0, "at least 0")


PAPER = {"schedule": "constant", "loss_pixels": "hidden", "clip_norm": 0.0}
"""Where the paper is not silent: the rate, the loss of equation 2, gradients as they are."""

MEASURED = {"merge": "blocks", "conditioner": "unet", "attention_heads": 4, "conditioning_depth": 10, "alpha": 0.1,
            "batch_size": 16, "schedule_peak": 8.0}
"""What measured best, whatever the data (docs/experiments.md)."""

PRESETS = {
    "mnist": Config(
        epochs=8, masks=("blobs", "blobs", "blobs", "blobs", "random:0.15", "bottom:7", "left:14", "none"), **MEASURED),
    "paper-mnist": Config(**PAPER),
    "paper-celeba": Config(
        dataset="celeba", height=32, width=32, channels=3, num_levels=32, filters=66, prior_depth=16,
        conditioning_depth=17, head_filters=1023, epochs=60, **PAPER,
    ),
    "celeba": Config(
        dataset="celeba", height=32, width=32, channels=3, num_levels=32, filters=66, prior_depth=16,
        conditioning_depth=17, head_filters=1023, epochs=60,
    ),
    "digits": Config(
        dataset="digits", height=8, width=8, num_levels=4, filters=16, prior_depth=3,
        conditioning_depth=3, kernel_size=3, learning_rate=2e-3, epochs=20, max_num_blobs=2,
        iter_min=1, iter_max=2,
    ),
}
