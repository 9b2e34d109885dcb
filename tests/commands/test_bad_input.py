"""Whatever is handed over either works, or is refused: exit code 2, one line on stderr, nothing half-written.

Six families of cases that hypothesis makes up: images, masks, flags, model folders, data folders, arrays in
Python. The programs run in this process; `test_flags.py` has processes of their own. `.ci/full` tries
`FULL` cases of each family, `.ci/run` a few.
"""

import io
import json
import os
import shutil
from collections import Counter

import h5py
import numpy as np
import pytest
from conftest import TINY, run_here, save_model
from hypothesis import given
from hypothesis import strategies as st
from made_up import FEW, FULL, JSON, cases, change_weights, files, png, rewrite
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras import config
from pcnn_keras.config import Config
from pcnn_keras.data.images import read_image
from pcnn_keras.data.masks import PARAMETERS
from pcnn_keras.errors import InputError
from pcnn_keras.inference import sampling
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.training import train as training

_model = []  # the good one, loaded once: compiling its sampler takes longer than a case
outcomes = Counter()
"""How many cases of each family worked, and how many were refused."""


def family(what, **strategies):
    """Two tests of a property: a few cases in the ordinary suite; in the full one many, some of either outcome."""
    def decorate(function):
        def try_cases(place, count):
            @cases(count)
            @given(**strategies)
            def each(**drawn):
                function(place, **drawn)
            each()

        def few(place):
            try_cases(place, FEW)

        @pytest.mark.full
        @pytest.mark.timeout(3600)
        def many(place, record_property):
            try_cases(place, FULL)
            works, refused = outcomes[what, "works"], outcomes[what, "refused"]
            record_property("counts", f"{works} cases work, {refused} are refused")
            assert works and refused and works + refused >= min(FULL, 100), outcomes
        return few, many
    return decorate


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a good model, a good image and a good data folder; the working directory of each case."""
    folder = tmp_path_factory.mktemp("place")
    config = TINY.replace(dataset="digits", width=4, prior_depth=0)
    _model.append(save_model(pcnn.build_model(config), folder / "model"))
    Image.fromarray(picture((4, 4))).save(folder / "good.png")
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def works_or_is_refused(what, folder, script, *arguments, writes="out"):
    """Runs a program; holds its outcome against the promise. `writes`: the one folder that it may write."""
    before = files(folder)
    code, _, errors = run_here(script, *arguments)
    outcomes[what, "works" if code == 0 else "refused"] += 1
    said = f"{script} {' '.join(map(str, arguments))}\nexit code {code}\n{errors}"
    after = files(folder)
    if code == 0:
        assert errors == "", said
        shutil.rmtree(folder / writes, ignore_errors=True)
        assert files(folder) == before, said
    else:
        assert code == 2, said
        assert errors.count("\n") == 1 and errors.endswith("\n"), said
        assert after == before, f"{said}\nleft {sorted(set(after) - set(before))}"
        shutil.rmtree(folder / writes, ignore_errors=True)  # an empty folder, at most
    return code


# Images --------------------------------------------------------------------------------------------------------------

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F")
FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ico", "ppm")
COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "group4")  # of TIFF, whose library has words of its own


@st.composite
def image_files(draw):
    """Name and content of a file that may be an image; content None: a pipe into which nothing is written."""
    kind = draw(st.sampled_from(["whole", "whole", "cut", "changed", "animated", "raw png", "bytes", "pipe"]))
    suffix = draw(st.sampled_from([*FORMATS, "tif", "tif"]))
    if kind == "pipe":
        return f"image.{suffix}", None
    if kind == "bytes":
        return f"image.{suffix}", draw(st.binary(max_size=60))
    if kind == "raw png":  # sizes of zero, huge ones, depths that do not exist
        side = st.sampled_from([0, 1, 2, 5, 60_000, 2**31 - 1, 2**32 - 1])
        return "image.png", png(draw(side), draw(side), draw(st.sampled_from([1, 2, 4, 8, 16, 3])),
                                draw(st.sampled_from([0, 2, 3, 4, 6, 7])), draw(st.binary(max_size=40)),
                                draw(st.lists(st.integers(0, 2**16 - 1), max_size=4)))
    compression = draw(st.sampled_from(COMPRESSIONS)) if suffix == "tif" else None
    mode = "1" if compression == "group4" else draw(st.sampled_from(MODES))
    shape = draw(st.sampled_from([(1, 1), (4, 5), (1, 40), (9, 2), (64, 80), (700, 900)]))
    image = Image.fromarray(picture((*shape, 3), draw(st.integers(0, 9)))).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        image = (image if mode in ("1", "L", "I", "F", "LA") else image.convert("RGB")).convert(mode)
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": [image.copy()] * 2} if kind == "animated" else {}
    if compression:
        options["compression"] = compression
    orientation = draw(st.integers(0, 8))  # 0: the file says nothing of it
    if orientation and suffix in ("png", "jpg", "tif", "webp"):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    if suffix == "png" and mode in ("L", "I;16", "P"):
        options["transparency"] = draw(st.integers(0, 255)) * (257 if mode == "I;16" else 1)
    try:
        image.save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix), **options)
    except (OSError, ValueError, KeyError, TypeError):  # a mode that this format does not have
        image.convert("RGB").save(buffer, "png")
    content = buffer.getvalue()
    if kind == "cut":
        content = content[: draw(st.integers(0, len(content) - 1))]
    if kind == "changed":
        at = draw(st.integers(0, min(len(content) - 1, 200)))
        content = content[:at] + bytes([content[at] ^ draw(st.integers(1, 255))]) + content[at + 1 :]
    return f"image.{suffix}", content


def write_file(path, content):
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)


def _image(place, file):
    name, content = file
    write_file(place / name, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcnn_keras.data.images.PATIENCE", 0.05)
        try:
            image = read_image(place / name)
            assert image.dtype == np.uint8 and image.ndim == 3
            expected = 0
        except InputError:
            expected = 2
        patch.setattr("pcnn_keras.network.model.load", lambda _: _model[0])
        try:
            code = works_or_is_refused("images", place, "sample.py", "--model", "model", "--image", name,
                                       "--num-samples", 1, "--output", "out")
        finally:
            (place / name).unlink()
    assert code == expected


test_a_few_images, test_many_images = family("images", file=image_files())(_image)


# Masks ---------------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(-3, 9), st.sampled_from([10**6, 10**30, -(10**30)]),
                    st.floats(allow_nan=True, allow_infinity=True), st.text("0123456789,.-e", max_size=6))
KINDS = st.sampled_from([*PARAMETERS, "upper", "", "Blobs", "good.png", "missing.png"])


@st.composite
def mask_specs(draw):
    kind = draw(KINDS)
    numbers = draw(st.lists(NUMBERS, max_size=5))
    return kind + (":" if numbers or draw(st.booleans()) else "") + ",".join(map(str, numbers))


def _mask(place, spec):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcnn_keras.network.model.load", lambda _: _model[0])
        works_or_is_refused("masks", place, "sample.py", "--model", "model", "--image", "good.png", f"--mask={spec}",
                            "--num-samples", 1, "--output", "out")


test_a_few_masks, test_many_masks = family("masks", spec=mask_specs())(_mask)


# Flags ---------------------------------------------------------------------------------------------------------------

WRONG = st.one_of(st.integers(-5, 0), st.integers(1, 3), st.integers(2**31, 2**70), st.floats(),
                  st.sampled_from(["nan", "inf", "-inf", "1e999", "", " ", "one", "0x10", "1_0", "١", "1;2", "-", "--",
                                   "../..", "a" * 300]))
FLAGS = {
    "sample.py": ["--num-samples", "--temperature", "--seed", "--keep-best", "--candidates", "--min-log-likelihood",
                  "--sampler", "--index", "--dataset", "--data-dir", "--model", "--mask", "--image", "--output",
                  "--progression", "--prepare", "--mask-dir", "--mask-hides"],
    "train.py": ["--size", "--depth", "--strategy", "--dataset", "--data-dir", "--output", "--resume", "--preset",
                 "--config", "--weights",
                 *(declared.flag or f"--{name.replace('_', '-')}" for name, _, declared in config.settings()
                   if declared.flag != "")],
    "pcnn_keras/evaluate.py": ["--model", "--dataset", "--limit", "--drawn", "--num-samples", "--json", "--data-dir"],
    "pcnn_keras/figures.py": ["--model", "--dataset", "--seed", "--data-dir"],
    "pcnn_keras/export/__main__.py": ["--model"],
    "pcnn_keras/classifier.py": ["--model", "--epochs", "--dataset"],
}


@st.composite
def command_lines(draw):
    script = draw(st.sampled_from(sorted(FLAGS)))
    flags = draw(st.lists(st.tuples(st.sampled_from(FLAGS[script]), WRONG), min_size=1, max_size=3))
    return script, [f"{flag}={value}" for flag, value in flags]


def begin(*_, **__):
    """Stands where the work of a program begins: of this family only the flags are of interest."""
    raise SystemExit(0)


def _flags(place, line):
    script, flags = line
    start = {"sample.py": ["--model=model", "--image=good.png", "--output=out"],
             "train.py": ["--dataset=digits", "--size=4", "--output=out"],
             "pcnn_keras/figures.py": ["--model=model", "--output=out"]}.get(script, ["--model=model"])
    if script == "sample.py" and any(flag.startswith(("--dataset", "--index")) for flag in flags):
        start.remove("--image=good.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "inpaint", begin)
        patch.setattr(training, "train", begin)
        for module, name in (("evaluation.evaluate", "evaluate"), ("evaluation.figures", "draw_figures"),
                             ("export.signatures", "export"), ("evaluation.classifier", "train_classifier")):
            patch.setattr(f"pcnn_keras.{module}.{name}", begin)
        patch.setattr("pcnn_keras.data.sources._download",
                      lambda builder, _: (_ for _ in ()).throw(InputError("no network")))
        works_or_is_refused("flags", place, script, *start, *flags)


test_a_few_flags, test_many_flags = family("flags", line=command_lines())(_flags)


# Model folders -------------------------------------------------------------------------------------------------------

FIELDS = sorted(TINY.to_dict())


@st.composite
def damages(draw):
    """What happens to a model folder: a name, and a function that does it."""
    kind = draw(st.sampled_from(["lacks", "cut", "changed", "setting", "unknown", "text", "member", "folder", "weight",
                                 "weight"]))
    name = draw(st.sampled_from(["config.json", "model.keras"]))
    where, field, value = draw(st.floats(0, 1, exclude_max=True)), draw(st.sampled_from(FIELDS)), draw(JSON)

    def do(folder):
        path = folder / name
        content = path.read_bytes()
        at = int(where * len(content))
        if kind in ("lacks", "folder"):
            path.unlink()
            if kind == "folder":
                path.mkdir()
        elif kind == "cut":
            path.write_bytes(content[:at])
        elif kind == "changed":
            path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        elif kind == "text":
            path.write_text("not a model")
        elif kind in ("setting", "unknown"):
            config = json.loads((folder / "config.json").read_text())
            config[field if kind == "setting" else "no_such_field"] = value
            (folder / "config.json").write_text(json.dumps(config))
        elif kind == "weight":
            change_weights(folder / "model.keras", spoil(where, value))
        else:  # a file inside model.keras is cut
            rewrite(folder / "model.keras", lambda names: names[int(where * len(names))],
                    lambda data: data[: int(where * len(data))])
    do.__name__ = f"{kind} {name} {where:.3f} {field}={value!r}"
    return do


def spoil(where, value):
    """Something else in the place of a weight array: numbers that are none, huge ones, more or fewer of them, text."""
    def change(file):
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[int(where * len(names))]
        values = file.pop(name)[()]
        if value in (None, [], {}):
            return
        if isinstance(value, str):
            file[name] = value
        elif isinstance(value, float):
            values.flat[0] = np.clip(value, -3e38, 3e38) if np.isfinite(value) else value
            file[name] = values
        else:
            file[name] = np.resize(values, abs(value) % 50)
    return change


def _model_folder(place, damage):
    folder = place / "other"
    shutil.copytree(place / "model", folder)
    try:
        damage(folder)
        code = works_or_is_refused("model folders", place, "sample.py", "--model", "other", "--image", "good.png",
                                   "--num-samples", 1, "--output", "out")
        try:
            model = pcnn.load(folder)
            assert not model.config.obstacle(Config.load(folder / "config.json"))
            assert all(np.isfinite(weight).all() for weight in model.get_weights())
        except InputError:
            assert code == 2
    finally:
        shutil.rmtree(folder)


test_a_few_model_folders, test_many_model_folders = family("model folders", damage=damages())(_model_folder)


# Data folders --------------------------------------------------------------------------------------------------------

DATA_FILES = st.one_of(
    image_files(),
    st.builds(lambda i, size: (f"{i}.png", encoded(size)), st.integers(0, 10**6),
              st.sampled_from([(4, 5), (4, 5), (4, 5), (1, 1), (90, 90)])),
    st.sampled_from([("text.png", b"not an image"), ("notes.txt", b"notes"), ("empty.jpg", b"")]))


def encoded(size):
    buffer = io.BytesIO()
    Image.fromarray(picture(size)).save(buffer, "png")
    return buffer.getvalue()


def _data_folder(place, some, good, size):
    folder = place / "data"
    folder.mkdir()
    try:
        for i in range(good):
            (folder / f"good{i:02}.png").write_bytes(encoded((4, 5)))
        for name, content in some:
            (folder / name).unlink(missing_ok=True)
            write_file(folder / name, content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "train", begin)
            works_or_is_refused("data folders", place, "train.py", "--dataset", "folder", "--data-dir", "data",
                                "--output", "out", *(["--size", size] if size else []))
    finally:
        shutil.rmtree(folder)


test_a_few_data_folders, test_many_data_folders = family(
    "data folders", some=st.lists(DATA_FILES, max_size=3), good=st.sampled_from([0, 1, 10, 11, 30]),
    size=st.sampled_from([None, 1, 4]))(_data_folder)


# Python --------------------------------------------------------------------------------------------------------------

ARRAYS = st.one_of(
    st.builds(lambda shape, value: np.full(shape, value),
              st.sampled_from([(4, 4, 1), (4, 4), (5, 4, 1), (4, 4, 3), (1, 4, 4, 1), (0, 4, 1), ()]),
              st.sampled_from([0, 1, 2, -1, 0.5, np.nan, np.inf, True, 255, "1", None])),
    st.sampled_from([None, "all", [[1]], [[1], [1, 2]], object()]))
GOOD = st.integers(0, 2**16 - 1).map(lambda bits: np.array([bits >> i & 1 for i in range(16)]).reshape(4, 4, 1))


def mostly(good, other):
    return st.sampled_from([good] * 4 + [other]).flatmap(lambda strategy: strategy)


def _inpaint(place, image, mask, **options):
    try:
        samples = pcnn.inpaint(_model[0], image, mask, **options).samples
        images, masks, single = read_inputs(_model[0].config, image, mask)
    except InputError:
        outcomes["arrays", "refused"] += 1
        return
    outcomes["arrays", "works"] += 1
    assert samples.shape == (*images.shape[:1] * (not single), options["num_samples"], 4, 4, 1)
    samples = samples.reshape(len(images), -1, 4, 4, 1)
    assert ((samples == images[:, None]) | (masks[:, None] == 0)).all()


test_a_few_arrays, test_many_arrays = family(
    "arrays", image=mostly(GOOD, ARRAYS), mask=mostly(GOOD, ARRAYS), num_samples=mostly(st.integers(1, 3), JSON),
    temperature=mostly(st.floats(0, 3), JSON), seed=mostly(st.integers(0, 2**63 - 1), JSON))(_inpaint)
