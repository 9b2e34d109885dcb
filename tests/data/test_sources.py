"""Data sets to bytes: digits, folders, TFDS's own, whole and damaged."""

import itertools
import os
import shutil
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from conftest import ROOT, TINY
from PIL import Image

from pcnn_keras.data.images import resize
from pcnn_keras.data.sources import _split, load_images, load_labels, load_model_images
from pcnn_keras.errors import InputError


def write(path, height, width, colour=False, value=100):
    """A file of one colour."""
    shape = (height, width, 3) if colour else (height, width)
    image = np.full(shape, value, np.uint8)
    if colour:
        image[..., 0] = 255
    Image.fromarray(image).save(path)


def refused(*args, **kwargs):
    """The message that `load_images` refuses with."""
    with pytest.raises(InputError) as caught:
        load_images(*args, **kwargs)
    return str(caught.value)


@pytest.fixture
def no_network(monkeypatch):
    """How long each caller was ready to wait for an answer, in seconds."""
    patience = []

    def refuse(*args, timeout=float("inf"), **kwargs):
        patience.append(timeout)
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    return patience


def test_digits_are_split_in_three_the_same_way_at_every_call():
    from sklearn.datasets import load_digits

    first = load_images("digits")
    np.random.seed(1)
    for part, again in zip(first, load_images("digits")):
        np.testing.assert_array_equal(part, again)
        assert part.dtype == np.uint8 and part.shape[1:] == (8, 8, 1)
    assert [len(part) for part in first] == [1457, 161, 179]  # of 1,797

    everything = np.round(load_digits().images * 255 / 16)[..., None]
    np.testing.assert_array_equal(first.test, everything[9::10])
    remaining = np.delete(everything, np.s_[9::10], axis=0)
    np.testing.assert_array_equal(np.concatenate([first.train, first.validation]), remaining)


def test_a_folder_of_one_size_is_read_as_it_is_in_the_order_of_names(tmp_path):
    for i in range(20):
        write(tmp_path / f"{i:02}.png", 6, 9, value=i)
    images = load_images("folder", tmp_path)
    assert [part.shape for part in images] == [(17, 6, 9, 1), (1, 6, 9, 1), (2, 6, 9, 1)]
    assert [part[:, 0, 0, 0].tolist() for part in images] == [[*range(9), *range(10, 18)], [18], [9, 19]]


def test_folders_below_are_read_too_but_hidden_ones(tmp_path):
    names = ["0.png", "b/1.png", "a/3.png", "a/c/2.png", ".hidden/4.png", "b/.hidden/5.png",
             *(f"z/{i}.png" for i in range(8))]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, 6, 9, value=i)
    (tmp_path / "b" / "back").symlink_to(tmp_path)
    images = load_images("folder", tmp_path)
    assert [value for part in images for value in part[:, 0, 0, 0]] == [0, 2, 3, 1, *range(6, 11), 12, 13, 11]


def test_a_pipe_among_the_images_is_not_waited_for(tmp_path):
    write(tmp_path / "a.png", 6, 9)
    os.mkfifo(tmp_path / "b.png")
    assert refused("folder", tmp_path) == f"{tmp_path / 'b.png'} is a pipe."


def test_a_folder_of_many_sizes_needs_size(tmp_path):
    for i in range(12):
        write(tmp_path / f"{i:02}.png", 6 + i % 2, 9)
    assert "--size" in refused("folder", tmp_path)
    assert load_images("folder", tmp_path, size=5).train.shape[1:] == (5, 5, 1)


def test_a_folder_of_large_images_needs_size(tmp_path):
    for i in range(12):
        write(tmp_path / f"{i:02}.png", 66, 20)
    assert "--size" in refused("folder", tmp_path)
    assert load_images("folder", tmp_path, size=66).train.shape[1:] == (66, 66, 1)
    assert load_images("folder", tmp_path, slices=2).train.shape[1:] == (66, 20, 1)
    config = TINY.replace(dataset="folder", height=66, width=20, slices=2, merge="blocks")
    assert load_model_images(config, data_dir=tmp_path).train.shape[1:] == (66, 20, 1)


@pytest.mark.parametrize("coloured", [0, 11, 24])
def test_one_colour_image_makes_a_folder_one_of_colour(tmp_path, coloured):
    for i in range(25):
        write(tmp_path / f"{i:02}.png", 6, 6, colour=i == coloured)
    assert load_images("folder", tmp_path).train.shape[1:] == (6, 6, 3)
    assert load_images("folder", tmp_path, grayscale=True).train.shape[1:] == (6, 6, 1)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    assert "--data-dir" in refused("folder")
    assert str(tmp_path / "missing") in refused("folder", tmp_path / "missing")
    assert str(tmp_path) in refused("folder", tmp_path)  # empty
    for i in range(10):
        write(tmp_path / f"{i:02}.png", 6, 6)
    assert "at least 11" in refused("folder", tmp_path)
    write(tmp_path / "10.png", 6, 6)
    assert [len(part) for part in load_images("folder", tmp_path)] == [9, 1, 1]
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "0.png").write_text("not an image")
    said = refused("folder", tmp_path)
    assert said.startswith("2 of 13 images cannot be read: ") and "/text.png is" in said and "/0.png is" in said
    for i in range(5):
        (tmp_path / f"{i}.png").write_text("not an image")
    said = refused("folder", tmp_path)
    assert said.startswith("6 of 17 images") and said.endswith(" and 1 more.") and "text.png" not in said


def test_celeba_from_a_folder_is_the_centre_of_half_the_width(tmp_path):
    """Aligned CelebA is 178 x 218; here halved: the 45 x 45 pixels in the middle of 89 x 109."""
    picture = np.full((109, 89, 3), 255, np.uint8)
    picture[32:77, 22:67] = (200, 100, 50)
    for i in range(12):
        Image.fromarray(picture).save(tmp_path / f"{i:02}.jpg", quality=100, subsampling=0)
    faces = load_images("celeba", tmp_path)
    assert faces.train.shape[1:] == (32, 32, 3)
    inner = faces.train[:, 2:-2, 2:-2].astype(int)  # a JPEG's blocks blur the edge
    assert abs(inner - (200, 100, 50)).max() <= 8
    assert load_images("celeba", tmp_path, size=8).train.shape[1:] == (8, 8, 3)


@pytest.mark.parametrize("factor", [1, 255])
def test_a_set_of_tfds_that_is_binarized_already_stays_as_it_is(tmp_path, no_network, factor):
    prepare_set(tmp_path, lambda i: np.eye(4, 5, i % 3, dtype=np.uint8)[..., None] * np.uint8(factor))
    images = load_images("tiny_set", tmp_path)
    assert all(set(np.unique(part)) == {0, 255} for part in images)


def test_a_set_of_tfds_keeps_its_test_split_and_gives_the_last_tenth_of_train_to_validation(undamaged, no_network):
    images = load_images("tiny_set", undamaged)
    assert [part.shape for part in images] == [(18, 4, 5, 1), (2, 4, 5, 1), (3, 4, 5, 1)]
    train, validation, test = (part[:, 0, 0, 0].tolist() for part in images)
    assert sorted(train + validation) == [*range(20)] and sorted(test) == [100, 101, 102]
    for part, again in zip(images, load_images("tiny_set", undamaged)):
        np.testing.assert_array_equal(part, again)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undamaged")
    prepare_set(folder, lambda i: np.full((4, 5, 1), i, np.uint8))
    return folder


def prepare_mnist(folder):
    """Prepares what TFDS takes for its MNIST, of 23 images."""
    prepare_set(folder, lambda i: np.full((28, 28, 1), i, np.uint8), "mnist", "3.0.1", lambda i: {"label": i % 10})


def prepare_set(folder, image_of, called="tiny_set", version="1.0.0", more_of=lambda i: {}):
    """Prepares a set of images `image_of(i)`, and labels: 0 … 19 for training, 100 … 102 for tests."""
    import tensorflow_datasets as tfds

    class Set(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # another test may have one, too
        name = called
        VERSION = tfds.core.Version(version)
        pkg_dir_path = folder  # where a description could lie

        def _info(self):
            features = {"image": tfds.features.Image(shape=image_of(0).shape),
                        **{key: tfds.features.ClassLabel(num_classes=10) for key in more_of(0)}}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(0, 20), "test": self._generate_examples(100, 103)}

        def _generate_examples(self, first, last):
            for i in range(first, last):
                yield i, {"image": image_of(i), **more_of(i)}

    Set(data_dir=folder).download_and_prepare()


DAMAGES = {
    "missing": lambda content: None, "empty": lambda content: b"", "cut": lambda content: content[: len(content) // 2],
    "changed": lambda content: content[:20] + bytes([content[20] ^ 255]) + content[21:],
    "of text": lambda content: b"not what it was\n", "of a list": lambda content: b"[]",
    "of zeros": lambda content: bytes(len(content)), "a little shorter": lambda content: content[: -len(content) // 20],
}


@pytest.mark.parametrize("part, damage", [
    *itertools.product(["dataset_info.json", "features.json", "tiny_set-train*"], DAMAGES),
    ("tiny_set-test*", "missing"), ("tiny_set-test*", "cut")])
def test_a_prepared_set_that_is_damaged_is_said_to_be(undamaged, tmp_path, no_network, part, damage):
    shutil.copytree(undamaged, tmp_path, dirs_exist_ok=True)
    path, = (tmp_path / "tiny_set" / "1.0.0").glob(part)
    content = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    message = refused("tiny_set", str(tmp_path))
    assert "tiny_set" in message and str(tmp_path) in message and len(message) < 500


@pytest.mark.parametrize("error, damaged", [(PermissionError(13, "Permission denied"), False), (EOFError(), True)])
def test_a_set_that_may_not_be_read_is_not_to_be_removed(undamaged, monkeypatch, no_network, error, damaged):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("tensorflow_datasets.as_numpy", fail)
    assert ("remove it" in refused("tiny_set", str(undamaged))) == damaged


@pytest.mark.parametrize("part", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_set_of_a_known_name_is_no_unknown_one(tmp_path, no_network, part, content):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / part).write_text(content)
    assert "Unknown" not in refused("mnist", str(tmp_path))


@pytest.mark.parametrize("dataset, name", [("mnist", "mnist"), ("celeba", "celeb_a")])
def test_a_set_out_of_reach_is_said_at_once_with_what_to_do(tmp_path, no_network, dataset, name):
    folder = str(tmp_path / "{0}")
    message = refused(dataset, folder)
    assert no_network and sum(no_network) < 20
    for part in (name, folder, "--data-dir", "TFDS_DATA_DIR", "--dataset digits"):
        assert part in message


def test_labels_are_those_of_the_images(tmp_path):
    prepare_mnist(tmp_path)
    images, labels = load_images("mnist", str(tmp_path)), load_labels("mnist", str(tmp_path))
    for part, classes in zip(images, labels):
        np.testing.assert_array_equal(part[:, 0, 0, 0] % 10, classes)


def test_at_most_5000_images_are_held_out():
    parts = _split("set", np.arange(60_000), np.arange(3))
    assert [len(part) for part in parts] == [55_000, 5_000, 3] and parts.validation[0] == 55_000


@pytest.mark.full
def test_tfds_own_variable_says_where_sets_are(tmp_path):
    """TFDS reads it when it is imported."""
    prepare_mnist(tmp_path)
    code = ("import urllib.request; urllib.request.urlopen = None; import pcnn_keras; "
            "print(*[len(part) for part in pcnn_keras.load_images('mnist')])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "TFDS_DATA_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "18 2 3\n"), done.stderr


@pytest.mark.parametrize("name", ["no_such_set", "no-such-set", "../mnist", "mnist:99.0.0", "mnist/no_such_config",
                                  "huggingface:mnist"])
def test_an_unknown_set_is_a_mistake(tmp_path, no_network, name):
    assert name in refused(name, str(tmp_path))


def test_images_that_no_memory_holds_are_foreseen(tmp_path, monkeypatch, no_network):
    for i in range(20):
        write(tmp_path / f"{i:02}.png", 6, 6)
    prepare_set(tmp_path, lambda i: np.full((4, 5, 1), i, np.uint8))
    monkeypatch.setattr("pcnn_keras.data.sources.LIMITS", (tmp_path / "none", tmp_path / "memory.max"))
    monkeypatch.setattr("pcnn_keras.data.sources._stack", None)
    (tmp_path / "memory.max").write_text("max\n")
    for dataset in ("digits", "folder", "tiny_set"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "sysconf", lambda name: 2**14)  # a machine of 268 MB
            assert "GB of memory: this machine has 0.3" in refused(dataset, str(tmp_path), size=4096)
    write(tmp_path / "00.png", 6, 6, colour=True)
    (tmp_path / "memory.max").write_text("1000000000\n")
    assert "need 2.0 GB of memory: this machine has 1.0" in refused("folder", str(tmp_path), size=4096)


def test_celeba_is_exactly_the_middle_half_of_the_width(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (109, 89, 3), np.uint8)
    for i in range(12):
        Image.fromarray(picture).save(tmp_path / f"{i:02}.png")
    np.testing.assert_array_equal(load_images("celeba", tmp_path).train[0], resize(picture[32:77, 22:67], 32, 32))
