"""A setting is declared once, and what is declared holds."""

import json
import os

import pytest
from conftest import TINY

import pcnn_keras as pcnn
from pcnn_keras.config import PRESETS, settings

ANY = {"width": 8, "merge": "blocks", "conditioner": "unet"}
"""With these, a setting of `TINY` may have any value that there is."""


def refused(**changes):
    """The message, one line, with which a `Config` says no."""
    with pytest.raises(pcnn.InputError, match="Received: ") as caught:
        TINY.replace(**changes)
    assert str(caught.value).startswith(f"`{[*changes][-1]}` must be ")
    return str(caught.value)


@pytest.mark.parametrize("name, kind, declared", settings(), ids=lambda value: value if type(value) is str else "")
def test_the_declared_range_is_the_range(name, kind, declared):
    for end, step in ((declared.least, -1), (declared.most, 1), (declared.above, 0)):
        if end is not None:
            assert str(end) in refused(**{name: kind(end) + step})
            if step and name not in ("filters", "iter_max"):
                assert getattr(TINY.replace(**{**ANY, name: kind(end)}), name) == end
    for choice in declared.choices:
        assert getattr(TINY.replace(**{**ANY, name: choice}), name) == choice
    if declared.choices:
        assert ", ".join(map(str, declared.choices)) in refused(**{name: kind(7)})
    assert kind.__name__ in refused(**{name: None})


@pytest.mark.parametrize("changes, expected", [
    ({"kernel_size": 4}, "odd"), ({"iter_min": 3, "iter_max": 2}, "`iter_min` (3)"),
    ({"channels": 3, "filters": 2}, "`channels` (3)"), ({"channels": 3, "head_filters": 2}, "0 or at least"),
    ({"alpha": float("nan")}, "finite"), ({"schedule_peak": float("inf")}, "finite"), ({"epochs": 2**31}, "2^31"),
    ({"epochs": True}, "int"), ({"filters": 6.0}, "int"), ({"masks": ()}, "list"), ({"masks": (1,)}, "list"),
    ({"masks": "blobs"}, "tuple"), ({"slices": 2}, "1 unless `merge` is 'blocks'"),
    ({"attention_heads": 2}, "0 unless `conditioner` is 'unet'"),
    ({"slices": 2, "merge": "blocks", "height": 5}, "divisible by `slices` (2)"),
    ({"slices": 4, "merge": "blocks", "width": 6}, "divisible by `slices` (4)"),
    ({"width": 2**28 // 8 + 1}, "above 268435456"), ({"width": 2**31 - 1, "height": 2**31 - 1}, "above 268435456"),
    ({"channels": 3, "num_levels": 256, "height": 2**18}, "above 268435456"),
])
def test_what_a_declaration_cannot_say_is_checked_too(changes, expected):
    assert expected in refused(**changes)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        pcnn.Config().filters = 3


def test_every_preset_is_kept_as_json_and_read_again(tmp_path):
    for name in PRESETS:
        config = pcnn.Config.preset(name)
        assert pcnn.Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        config.save(tmp_path / "config.json")
        assert pcnn.Config.load(tmp_path / "config.json") == config
        assert json.loads((tmp_path / "config.json").read_text()) == {**config.to_dict(), "version": pcnn.__version__}
        assert pcnn.Config.from_dict({**config.to_dict(), "feature_stacks": "both"}) == config  # as 0.2.0 had it once
    with pytest.raises(pcnn.InputError, match="`feature_stacks` is no longer a setting, but always both.*'vertical'"):
        pcnn.Config.from_dict({"feature_stacks": "vertical"})
    for name in ("imagenet", "", "mnist ", "MNIST"):
        with pytest.raises(pcnn.InputError, match=", ".join(PRESETS)):
            pcnn.Config.preset(name)


@pytest.mark.parametrize("version", ["0.1.0", "99.0.0", None, 3])
def test_a_file_of_any_version_is_read_and_where_it_cannot_be_its_version_is_said(tmp_path, version):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"filters": 12, "version": version}))
    assert pcnn.Config.load(path) == pcnn.Config(filters=12)
    path.write_text(json.dumps({"new_setting": 12, "version": version}))
    with pytest.raises(pcnn.InputError, match=f"new_setting.*{version!r}.*{pcnn.__version__}"):
        pcnn.Config.load(path)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", str(tmp_path), tmp_path / "missing", "/dev/zero", None, 0, b"config.json"):
        with pytest.raises(pcnn.InputError, match="is not a file|`path` must be of type"):
            pcnn.Config.load(path)


def another(value, declared):
    """A value of a setting that is not this one."""
    if declared.choices:
        return next(choice for choice in declared.choices if choice != value)
    return {str: "other", tuple: ("none",)}.get(type(value)) or value + 2


@pytest.mark.parametrize("name, kind, declared", settings(), ids=lambda value: value if type(value) is str else "")
def test_a_run_goes_on_with_changeable_settings_alone(name, kind, declared):
    config = TINY.replace(**ANY)
    changed = config.replace(**{name: another(getattr(config, name), declared)})
    changeable = name in ("alpha", "learning_rate", "epochs", "clip_norm")
    assert changed.obstacle(config) == (None if changeable else name) and not config.obstacle(config)


def test_a_preset_of_a_data_set_s_name_is_for_that_set():
    assert all(config.dataset == name for name, config in PRESETS.items() if not name.startswith("paper-"))


def test_settings_that_there_are_not_cannot_be_replaced():
    with pytest.raises(pcnn.InputError, match="Unknown setting.*max_blobs"):
        pcnn.Config().replace(max_blobs=3)


def test_older_files_and_the_presets_of_the_paper_mean_what_they_always_did():
    """The defaults fill what a file does not hold."""
    assert pcnn.Config().to_dict() == {
        "dataset": "mnist", "height": 28, "width": 28, "channels": 1, "num_levels": 2, "filters": 32, "prior_depth": 14,
        "conditioning_depth": 15, "kernel_size": 5, "head_filters": 0, "alpha": 1.0, "learning_rate": 4e-4,
        "batch_size": 64, "epochs": 50, "steps_per_epoch": 0, "max_num_blobs": 4, "iter_min": 2, "iter_max": 7,
        "seed": 0, "merge": "sum", "conditioner": "residual", "attention_heads": 0, "masks": ["blobs"],
        "augmentation": "none", "distribution": "softmax", "slices": 1, "loss_pixels": "all", "schedule": "cosine",
        "schedule_peak": 5.0, "warmup_steps": 50, "optimizer": "adam", "clip_norm": 1.0}
    paper = {"schedule": "constant", "loss_pixels": "hidden", "clip_norm": 0.0}
    assert pcnn.Config.preset("paper-mnist") == pcnn.Config(**paper)
    assert pcnn.Config.preset("paper-celeba") == pcnn.Config(
        dataset="celeba", height=32, width=32, channels=3, num_levels=32, filters=66, prior_depth=16,
        conditioning_depth=17, head_filters=1023, epochs=60, **paper)


def test_an_epoch_is_the_whole_batches_of_one_pass():
    assert pcnn.Config(batch_size=8).steps_in_epoch(23) == 2
