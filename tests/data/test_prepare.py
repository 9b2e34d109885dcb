"""Photos of digits go the way of MNIST's digits, and what is painted on them goes the same way."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import pcnn_keras as pcnn
from pcnn_keras.data.images import resize
from pcnn_keras.data.prepare import digit_picture, prepare

MNIST = pcnn.Config.preset("mnist")


def digit():
    """A seven of MNIST's form, uint8 `(28, 28, 1)`: 20 pixels high, its centre of mass in the middle of pixel 14."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[5:9, 8:21] = 255
    for row in range(8, 25):
        column = 19 - (row - 8) // 2
        image[row, column - 2 : column + 1] = 255
    return np.roll(image, [round(14 - centre) for centre in ndimage.center_of_mass(image[..., 0])], (0, 1))


def photo(scale=9, ink=30, paper=200, noise=0.0, top=70, left=250):
    """The digit drawn large on a page of 600 x 700 pixels that is brighter on one side."""
    y, x = np.indices((600, 700)) / 700
    page = paper + 35 * x - 40 * y
    large = digit()[..., 0].repeat(scale, 0).repeat(scale, 1) > 0
    page[top : top + 28 * scale, left : left + 28 * scale][large] = ink
    page += noise * np.random.default_rng(0).normal(size=page.shape)
    return page.clip(0, 255).astype(np.uint8)[..., None]


@pytest.mark.parametrize("changes, done", [
    ({}, "turned round, cropped to the ink, centred"),
    ({"scale": 15, "noise": 8}, "turned round, cropped to the ink, centred"),
    ({"ink": 240, "paper": 50, "left": 0}, "cropped to the ink, centred")])
def test_a_photo_of_a_digit_becomes_the_digit(changes, done):
    picture = digit_picture(photo(**changes), 28, 28)
    assert picture.done == done
    found = picture.image()
    assert found.shape == (28, 28, 1) and found.dtype == np.uint8
    assert ((found > 127) != (digit() > 127)).mean() < 0.01


def test_a_speck_is_no_ink():
    page = photo()
    page[590:596, 5:11] = 20
    np.testing.assert_array_equal(digit_picture(page, 28, 28).box, digit_picture(photo(), 28, 28).box)


def test_other_sizes_are_in_proportion():
    found = digit_picture(photo(), 14, 14).image()[..., 0]
    rows = np.flatnonzero((found > 127).any(axis=1))
    assert 9 <= np.ptp(rows) + 1 <= 11 and found.shape == (14, 14)


def test_a_photo_without_ink_is_cropped_around_its_centre():
    grey = np.full((40, 60, 3), 140, np.uint8)
    picture = pcnn.prepare_digit(grey)
    assert "no ink" in picture.done
    np.testing.assert_array_equal(picture.image(), np.full((28, 28, 1), 140))


def test_what_is_painted_goes_the_way_of_the_photo():
    """Painted over the photo's own ink, a mask hides what becomes the digit and nothing else."""
    for scale, reduced in ((9, 2), (3, 2), (15, 2)):
        page = photo(scale)
        picture = digit_picture(page, 28, 28)
        assert picture.reduced == reduced
        follows = picture.follow(np.where(page < 100, 0, 255).astype(np.uint8)) < 128
        assert (follows == (picture.image() > 127)).mean() > 0.99


def test_beyond_the_photo_a_mask_is_as_at_its_border():
    page = photo(20, top=20, left=100)[:590, 200:]
    picture = digit_picture(page, 28, 28)
    assert picture.box[1] < 0
    half = np.where(np.arange(page.shape[1]) < 150, 0, 255)[None, :, None].repeat(len(page), 0).astype(np.uint8)
    assert (picture.follow(half)[:, 0] == 0).all() and (picture.follow(half)[:, -1] == 255).all()


def test_auto_leaves_images_of_mnist_as_they_are_and_other_models_pictures_uncropped():
    np.testing.assert_array_equal(prepare(digit(), MNIST, "auto").image(), digit())
    page = photo()
    turned = prepare(255 - digit(), MNIST, "auto")
    assert "turned round" in turned.done and (turned.image()[:, 0] == 0).all()
    assert prepare(page, MNIST, "auto").done == turned.done
    other = MNIST.replace(dataset="celeba")
    assert prepare(page, other, "auto").done == "cropped around the centre to 600 x 600 of 700 x 600 pixels"
    assert not prepare(page[:, :600], other, "auto").done
    for config, way in ((MNIST.replace(dataset="fashion_mnist"), "auto"), (MNIST, "none")):
        np.testing.assert_array_equal(prepare(page, config, way).image(), resize(page, 28, 28))


def test_prepare_digit_takes_what_callers_have(tmp_path):
    page = photo()
    Image.fromarray(page[..., 0]).save(tmp_path / "page.png")
    expected = digit_picture(page, 28, 28).image()
    for given in (tmp_path / "page.png", str(tmp_path / "page.png"), Image.fromarray(page[..., 0]), page, page[..., 0],
                  page.repeat(3, -1)):
        np.testing.assert_array_equal(pcnn.prepare_digit(given).image(), expected)
    for wrong in (page.astype(float), [[1]], None, page[..., None], np.zeros((0, 4), np.uint8)):
        with pytest.raises(pcnn.InputError, match="`photo` must be"):
            pcnn.prepare_digit(wrong)
    with pytest.raises(pcnn.InputError, match="`height`"):
        pcnn.prepare_digit(page, 0)
