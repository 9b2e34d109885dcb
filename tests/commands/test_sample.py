"""`sample.py` with people's own pictures, and many of them."""

import json
import os
import re

import keras
import numpy as np
import pytest
from conftest import TINY, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands import results, sample
from pcnn_keras.data.prepare import prepare_digit
from pcnn_keras.evaluation.classifier import build_classifier


@pytest.fixture
def place(tiny, tmp_path, call_here):
    """A folder with a model in `.`, photos in `photos`, masks of their names in `masks`; calls `sample.py` there.

    The model's sampler is traced once for all of them.
    """
    save_model(tiny, tmp_path)
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for i, name in enumerate(("a.png", "b.jpg", "c.png")):
        Image.fromarray(rng.integers(0, 256, (8, 10), np.uint8)).save(tmp_path / "photos" / name)
        mask = np.zeros((8, 10), np.uint8)
        mask[:, : 2 * (i + 1)] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name[0]}.png")

    def call(flags):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pcnn_keras.network.model.load", lambda folder: tiny)
            prepare = "" if "--dataset" in flags else "--prepare none"
            return call_here(f"sample.py --model . --num-samples 2 {prepare} {flags}")

    return call


def saved(tmp_path):
    with np.load(tmp_path / "samples" / "samples.npz") as file:
        return dict(file)


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "samples" / "results.jsonl").read_text().splitlines()]


def test_a_folder_and_files_each_with_the_mask_of_its_name(place, tmp_path, monkeypatch):
    assert place("--image photos/c.png --mask left:2 --min-log-likelihood 1")[0] == 0
    assert not (tmp_path / "samples" / "c").exists(), "of nothing there is no picture"
    monkeypatch.setattr(sample, "DRAWN", 4)  # two images at a time
    Image.open(tmp_path / "photos" / "a.png").save(tmp_path / "a.png")
    code, out, errors = place("--image photos a.png --mask-dir masks")
    assert (code, errors) == (0, "")
    found = saved(tmp_path)
    assert found["samples"].shape == (4, 2, 4, 5, 1)
    np.testing.assert_array_equal(found["mask"][:, 0, :, 0].sum(axis=1), [1, 2, 3, 1])
    whole = pcnn.inpaint(pcnn.load(tmp_path), found["image"], found["mask"], 2, seed=range(4)).ranked()
    for name, expected in whole._asdict().items():
        np.testing.assert_allclose(found[name], expected, atol=1e-4)
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {
        "grid.png", "samples.npz", "results.jsonl", "a", "b", "c", "a-2"}
    for i, name in enumerate(("a", "b", "c", "a-2")):
        folder = tmp_path / "samples" / name
        assert {path.name for path in folder.iterdir()} == {"grid.png", "1-1.png", "1-2.png"}
        with Image.open(folder / "1-2.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), found["samples"][i, 1, ..., 0] * 255)
    assert "b.jpg, b.png: 12 of 20 pixels hidden, log-likelihoods " in out


def test_nothing_of_an_earlier_run_is_left_beside_the_new(place, tmp_path):
    mine = tmp_path / "samples" / "a" / "1-3.png"
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert place("--image photos --mask left:2 left:4 --progression")[0] == 0
    assert (tmp_path / "samples" / "progression.png").exists()
    (tmp_path / "photos" / "b.jpg").unlink()
    code, out, _ = place("--image photos --mask left:2 --keep-best 1")
    assert code == 0 and "; pictures of the run before that are gone: 12" in out
    assert {path.name for path in mine.parent.iterdir()} == {"grid.png", "1-1.png", mine.name}
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {
        "grid.png", "samples.npz", "results.jsonl", "a", "c"}
    assert [line["picture"] for line in lines(tmp_path)] == ["a/1-1.png", None, "c/1-1.png", None]


@pytest.mark.parametrize("flags", ["--image samples/a/1-1.png --mask left:2", "--image samples/a --mask left:2",
                                   "--image other --mask left:2", "--image photos/c.png --mask samples/a/1-1.png"])
def test_what_was_given_is_never_removed(place, tmp_path, flags):
    assert place("--image photos --mask left:2")[0] == 0
    (tmp_path / "link").symlink_to(tmp_path / "samples")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.png").symlink_to(tmp_path / "samples" / "a" / "1-1.png")
    assert place(f"{flags} --output link")[0] == 0
    assert (tmp_path / "samples" / "a" / "1-1.png").exists() and not (tmp_path / "samples" / "b").exists()


def test_what_was_given_is_never_replaced(place, tmp_path):
    assert place("--image photos --mask left:2")[0] == 0
    before = (tmp_path / "samples" / "a" / "1-1.png").read_bytes()
    for flags in ("--image samples/a/1-1.png photos/a.png --mask left:3", "--image samples/grid.png --mask left:3",
                  "--image photos --mask samples/a/1-1.png", "--image photos/a.png --mask samples/a/1-1.png"):
        code, out, errors = place(flags)
        assert (code, out, errors.count("\n")) == (2, "", 1) and "was given, and would be replaced" in errors
    assert (tmp_path / "samples" / "a" / "1-1.png").read_bytes() == before


@pytest.mark.parametrize("name, content", [("grid.png", ""), ("samples.npz", ""), ("results.jsonl", '{"my": "own"}')])
def test_nor_is_what_no_run_has_left(place, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    code, out, errors = place("--image photos --mask left:2 --output .")
    assert (code, out, errors.count("\n")) == (2, "", 1) and f"{name} is of no earlier run" in errors
    assert (tmp_path / name).read_text() == content and not (tmp_path / "a").exists()


def test_nor_are_images_of_a_data_set_whatever_folder_they_are_in(place, tmp_path):
    (tmp_path / "all" / "below").mkdir(parents=True)
    for name in ("grid", *range(11)):
        Image.new("L", (5, 4)).save(tmp_path / "all" / "below" / f"{name}.png")
    flags = "--dataset folder --data-dir all --index 0 --mask left:2"
    code, out, errors = place(f"{flags} --output all/below")
    assert (code, out, errors.count("\n")) == (2, "", 1) and "was given, and would be replaced" in errors
    assert place(flags)[0] == 0


def test_an_earlier_run_s_files_go_where_images_lie_around_them(place, tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "photos" / "a.png")
    assert place("--image . --mask left:2")[0] == 0
    assert place("--image . --mask left:2 --keep-best 1")[0] == 0
    assert {path.name for path in (tmp_path / "samples" / "a").iterdir()} == {"grid.png", "1-1.png"}


@pytest.mark.parametrize("name, image", [("a", "photos"), ("results.jsonl/below", "photos/a.png")])
def test_what_stands_in_the_way_is_said_before_anything_is_drawn(place, tmp_path, monkeypatch, name, image):
    monkeypatch.setattr(sample, "draw", None)
    path = tmp_path / "samples" / name
    path.parent.mkdir(parents=True)
    path.touch()
    code, out, errors = place(f"--image {image} --mask left:2")
    assert (code, out, errors.count("\n")) == (2, "", 1) and "cannot be written: it is no" in errors


@pytest.mark.parametrize("where", [
    "save_completions", *(pytest.param(name, marks=pytest.mark.full) for name in ("save_image", "draw_progressions"))])
def test_a_run_that_is_stopped_leaves_all_as_it_was(place, tmp_path, monkeypatch, where):
    def content():
        return {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, where, stop)
    before = content()
    assert place("--image photos --mask left:3 --progression")[0] == 1 and content() == before
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert place("--image photos --mask left:2")[0] == 0
    monkeypatch.setattr(sample, where, stop)
    before = content()
    assert place("--image photos --mask left:3 --progression")[0] == 1 and content() == before


@pytest.mark.parametrize("text", ["", "[", "3\n", "[" * 100_000, '{"picture": 3}', '{"picture": "../1-1.png"}',
                                  '{"picture": "/etc/1-1.png"}', '{"picture": "a/../1-1.png"}'])
def test_only_what_a_run_has_written_is_taken_for_its_pictures(text, tmp_path):
    (tmp_path / "results.jsonl").write_text(text)
    assert results.files_of(tmp_path) <= {tmp_path / "progression.png"}


def test_each_image_has_a_folder_below_the_output(tmp_path):
    folders = results.Folders(tmp_path)
    names = [folders.of(f"photos/{name}").name for name in ("a.png", "a.jpg", "grid.png.png", "...png", ". .png")]
    assert names == ["a", "a-2", "grid.png-2", "image", "image-2"]


def test_results_have_a_line_for_each_completion(place, tmp_path):
    assert place("--image photos/a.png --mask left:2 all --seed 7")[0] == 0
    found = saved(tmp_path)
    for i, line in enumerate(lines(tmp_path)):
        case, k = divmod(i, 2)
        assert line == {
            "file": "photos/a.png", "mask": ["left:2", "all"][case], "seed": 7, "draw": found["draw"][case, k],
            "log_likelihood": pytest.approx(found["log_likelihood"][case, k]),
            "nats_per_hidden_pixel": None if case else pytest.approx(-found["log_likelihood"][case, k] / 12),
            "picture": None if case else f"a/1-{k + 1}.png"}
    assert i == 3
    assert found["kept"].tolist() == [[True, True], [False, False]]  # there is nothing to draw


def test_the_classes_of_completions_are_shown_where_the_model_has_a_classifier(place, tmp_path):
    assert place("--image photos/a.png --mask none --num-samples 8")[1].count("classes") == 0
    assert not {"likeliest_class", "class_probability"} & {*saved(tmp_path), *lines(tmp_path)[0]}
    keras.utils.set_random_seed(0)
    classifier = build_classifier(TINY, 3)
    classifier.save(tmp_path / "classifier.keras")
    out = place("--image photos/a.png --mask none all --num-samples 8 --temperature 9")[1]
    found = saved(tmp_path)
    for i, samples in enumerate(found["samples"]):
        expected = keras.ops.convert_to_numpy(keras.ops.softmax(classifier(samples.astype(np.float32))))
        np.testing.assert_array_equal(found["likeliest_class"][i], expected.argmax(axis=1))
        np.testing.assert_allclose(found["class_probability"][i], expected.max(axis=1), rtol=1e-5)
    assert (found["likeliest_class"].dtype, found["class_probability"].dtype) == (np.int32, np.float32)
    for name in ("likeliest_class", "class_probability"):
        assert [line[name] for line in lines(tmp_path)] == pytest.approx(found[name].ravel().tolist())
    count = np.bincount(found["likeliest_class"][0], minlength=3)
    assert (count > 0).sum() > 1  # or there would be nothing to tell apart
    said, = re.findall("^  classes: (.*)$", out, flags=re.M)  # there is nothing to draw under the mask `all`
    shares = [int(share) for share in re.findall(r"in (\d+) %", said)]
    assert shares == sorted(shares, reverse=True)
    assert set(said.split(", ")) == {f"{i} in {100 * n / 8:.0f} %" for i, n in enumerate(count) if n}


def test_a_damaged_classifier_is_one_line(place, tmp_path):
    (tmp_path / "classifier.keras").write_text("not one")
    code, out, errors = place("--image photos/a.png --mask left:2")
    assert (code, out, errors.count("\n")) == (2, "", 1) and "classifier.keras" in errors
    assert not (tmp_path / "samples").exists()


def test_what_is_broken_is_named_left_out_and_counted(place, tmp_path, monkeypatch):
    (tmp_path / "photos" / "b.jpg").write_text("not an image")
    (tmp_path / "masks" / "c.png").unlink()
    Image.new("L", (8, 10)).save(tmp_path / "photos" / "d.png")
    Image.new("L", (7, 7)).save(tmp_path / "masks" / "d.png")
    code, out, errors = place("--image photos --mask-dir masks")
    assert code == 2 and saved(tmp_path)["samples"].shape == (1, 2, 4, 5, 1)
    said = errors.splitlines()
    assert len(said) == 4 and said[-1] == "sample.py: 3 of 4 images were left out: see above."
    for line, about in zip(said, ("b.jpg is not an image", "c.png: masks holds no mask", "masks/d.png: expected")):
        assert about in line
    os.mkfifo(tmp_path / "photos" / "e.png")
    monkeypatch.setattr("pcnn_keras.data.images.PATIENCE", 0.1)
    assert "photos/e.png cannot be read: nothing has come through the pipe" in place("--image photos")[2]
    (tmp_path / "photos" / "e.png").unlink()
    (tmp_path / "photos" / "a.png").write_text("nor is this")
    (tmp_path / "samples").rename(tmp_path / "before")
    code, out, errors = place("--image photos --mask-dir masks")
    assert (code, out) == (2, "") and errors.endswith("4 of 4 images were left out: see above.\n")
    assert not (tmp_path / "samples").exists()


def test_one_broken_image_is_one_line(place, tmp_path):
    (tmp_path / "photos" / "b.jpg").write_text("not an image")
    for flags in ("--image photos/b.jpg", "--image photos/a.png --mask-dir photos --mask left:1",
                  "--mask-dir masks --dataset digits", "--image photos/a.png --mask-dir missing",
                  "--image photos/a.png --mask photos/b.jpg"):
        code, out, errors = place(flags)
        assert (code, out, errors.count("\n")) == (2, "", 1), flags
    assert not (tmp_path / "samples").exists()


def test_an_image_given_twice_has_a_mask_of_its_own_and_noise_of_its_own_unless_a_seed_is_given(place, tmp_path):
    for flags, seed in (("", 0), ("--seed 7", 7)):
        images, masks = "photos/a.png photos/a.png", "random:0.5 blobs left:2"
        assert place(f"--image {images} --mask {masks} --num-samples 8 --temperature 9 {flags}")[0] == 0
        found = saved(tmp_path)
        for i, masks in enumerate(found["mask"].reshape(2, 3, 4, 5, 1)):
            for mask, spec in zip(masks, ("random:0.5", "blobs")):
                np.testing.assert_array_equal(mask, pcnn.parse_mask(spec, 4, 5)(seed + i))
        first, second = (found["samples"][case][np.argsort(found["draw"][case])] for case in (2, 5))
        assert ((first == second).all(axis=(1, 2, 3)) == bool(flags)).all()


def test_white_is_hidden_if_asked(place, tmp_path):
    assert place("--image photos/a.png --mask masks/a.png left:1 --mask-hides")[0] == 0
    np.testing.assert_array_equal(saved(tmp_path)["mask"][:, 0, :, 0], [[0, 1, 1, 1, 1], [1, 0, 0, 0, 0]])


def test_a_mask_file_that_hides_nothing_or_all_is_warned_of(place, tmp_path):
    Image.new("L", (10, 8), 200).save(tmp_path / "grey.png")
    code, out, errors = place("--image photos/a.png --mask grey.png left:5")
    assert code == 0
    assert errors == "sample.py: warning: mask grey.png hides nothing of photos/a.png.\n"
    assert out.count("0 of 20 pixels hidden, nothing to draw") == 2
    code, _, errors = place("--image photos/a.png --mask grey.png none --mask-hides")
    assert (code, errors.count("\n")) == (0, 1) and "mask grey.png leaves nothing of photos/a.png visible" in errors


def test_what_the_model_does_not_know_is_warned_of(place, tmp_path):
    for bound, warned in ((1e6, 0), (-1e6, 1)):
        (tmp_path / "visible.json").write_text(json.dumps({"standard_deviations": bound}))
        code, _, errors = place("--image photos/a.png --mask left:3")
        assert code == 0 and errors.count("\n") == warned and errors.count("unlike what the model knows") == warned
    (tmp_path / "photos").rename(tmp_path / "examples")
    assert place("--mask left:3")[::2] == (0, ""), "its own examples it knows"


def test_a_photo_of_a_digit_is_prepared_and_the_mask_with_it(tiny, tmp_path, call_here):
    save_model(tiny, tmp_path)
    assert TINY.dataset == "mnist"
    page = np.full((80, 90), 220, np.uint8)
    page[30:60, 50:56] = 20
    page[30:36, 35:56] = 20
    Image.fromarray(page).save(tmp_path / "page.png")
    Image.fromarray(np.where(page < 128, 0, 255).astype(np.uint8)).save(tmp_path / "mask.png")
    code, out, errors = call_here("sample.py --model . --image page.png --mask mask.png --num-samples 1")
    assert (code, errors) == (0, "") and "page.png, mask.png: turned round, cropped to the ink, centred; " in out
    found = saved(tmp_path)
    np.testing.assert_array_equal(found["image"][0] > 0, prepare_digit(tmp_path / "page.png", 4, 5).image() > 127)
    assert found["image"].any() and (found["image"] != found["mask"]).mean() > 0.8
