"""The language of `--mask`."""

import subprocess

import numpy as np
import pytest
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.data.masks import PARAMETERS, fit_mask, mask_of, parse_mask
from pcnn_keras.data.prepare import Picture, centre_picture

FIXED = {
    "bottom:1": ["000", "000", "111"], "top:2": ["111", "111", "000"], "left:1": ["100", "100", "100"],
    "right:2": ["011", "011", "011"], "center:1": ["000", "010", "000"], "edge:1": ["111", "101", "111"],
    "rect:1,0,2,1": ["000", "100", "100"], "hole:0,1,1,2": ["100", "111", "111"], "all": ["111"] * 3,
    "none": ["000"] * 3, "bottom:0": ["000"] * 3, "left:3": ["111"] * 3, "edge:0": ["000"] * 3, "edge:2": ["111"] * 3,
    "center:3": ["111"] * 3, "rect:0,0,0,0": ["000"] * 3, "random:0": ["000"] * 3, "random:1": ["111"] * 3,
}


@pytest.mark.parametrize("spec", FIXED)
def test_fixed_masks(spec):
    mask = parse_mask(spec, 3, 3)(0)
    assert mask.shape == (3, 3, 1) and mask.dtype == np.int32
    assert ["".join(map(str, row)) for row in mask[..., 0]] == FIXED[spec]


def test_a_mask_belongs_to_whoever_asked_for_it():
    make = parse_mask("bottom:1", 3, 3)
    make(0)[0] = 1
    assert make(0).sum() == 3


def test_every_kind_of_mask_is_tested():
    assert {spec.partition(":")[0] for spec in FIXED} | {"blobs"} == set(PARAMETERS)


def test_masks_of_wide_images():
    assert parse_mask("center:2", 4, 8)(0)[1:3, 3:5].sum() == parse_mask("center:2", 4, 8)(0).sum() == 4
    assert parse_mask("edge:1", 3, 6)(0).sum() == 14
    assert parse_mask("right:5", 2, 6)(0)[:, 0].sum() == 0


def test_random_masks():
    mask = parse_mask("random:0.15", 28, 28)
    assert mask(0).sum() == round(0.15 * 784)
    assert (mask(0) != mask(1)).any() and (mask(5) == mask(5)).all()
    blobs = parse_mask("blobs:2,1,2", 8, 8)
    np.testing.assert_array_equal(blobs(3), pcnn.random_blob_masks(1, 8, 8, 2, 1, 2, seed=3)[0])
    mask = parse_mask("blobs", 28, 28)(1)
    assert mask.sum() > 0
    np.testing.assert_array_equal(mask, parse_mask("blobs:4,2,7", 28, 28)(1))  # the paper's


@pytest.mark.parametrize("spec", [
    "bottom:4", "top:-1", "left:x", "right", "right:", "center:4", "edge:3", "rect:1,1,3,1", "rect:1,1,1",
    "hole:-1,0,1,1", "hole:0,0,1,4", "random:1.1", "random:nan", "random", "blobs:0,1,2", "blobs:1,3,2", "blobs:1,2",
    "all:1", "none:0",
    "", "middle:3", "nothing.png", "top:1.5"])
def test_bad_masks_are_input_errors(spec):
    with pytest.raises(pcnn.InputError, match="^Mask "):
        parse_mask(spec, 3, 3)


def test_mask_from_a_pipe(tmp_path):
    Image.fromarray(np.eye(3, dtype=np.uint8) * 255).save(tmp_path / "mask.png")
    with subprocess.Popen(["cat", tmp_path / "mask.png"], stdout=subprocess.PIPE) as command:  # as <(cat mask.png)
        mask = parse_mask(f"/dev/fd/{command.stdout.fileno()}", 3, 3)
    np.testing.assert_array_equal(mask(0)[..., 0], np.eye(3))


def test_mask_from_an_image_file(tmp_path):
    picture = np.zeros((3, 4), np.uint8)
    picture[1, 2] = 255
    Image.fromarray(picture).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(parse_mask(str(tmp_path / "mask.png"), 3, 4)(0)[..., 0], picture // 255)
    Image.fromarray(picture.repeat(4, 0).repeat(4, 1)).save(tmp_path / "large.png")
    np.testing.assert_array_equal(parse_mask(str(tmp_path / "large.png"), 3, 4)(0)[..., 0], picture // 255)
    with pytest.raises(pcnn.InputError, match="of 4 x 4 pixels"):
        parse_mask(str(tmp_path / "large.png"), 4, 4)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(pcnn.InputError, match="text.png"):
        parse_mask(str(tmp_path / "text.png"), 4, 4)


def test_a_photo_is_no_mask():
    painted = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8, 1)  # half of it between dark and bright
    with pytest.raises(pcnn.InputError, match="no mask: more than 25% of it"):
        mask_of(Image.fromarray(painted[..., 0]), 8, 8)
    mask_of(Image.fromarray(np.where(np.arange(64).reshape(8, 8) % 4, 255, painted[..., 0]).astype(np.uint8)), 8, 8)


def test_white_may_be_hidden_in_a_file_and_a_pixel_is_visible_if_half_of_it_is(tmp_path):
    picture = np.zeros((2, 8, 1), np.uint8)
    picture[:, :4] = 255
    picture[0, 4:6] = 255
    np.testing.assert_array_equal(fit_mask("m", picture[:, 2:6], 1, 2)[..., 0], [[1, 1]])
    np.testing.assert_array_equal(fit_mask("m", picture[:, 2:6], 1, 2, hides=True)[..., 0], [[0, 0]])
    np.testing.assert_array_equal(fit_mask("m", picture, 1, 4)[..., 0], [[1, 1, 1, 0]])
    Image.fromarray(picture[..., 0]).save(tmp_path / "mask.png")
    for mask in (tmp_path / "mask.png", str(tmp_path / "mask.png"), Image.fromarray(picture[..., 0])):
        np.testing.assert_array_equal(mask_of(mask, 1, 4, hides=True)(0)[..., 0], [[0, 0, 0, 1]])
    np.testing.assert_array_equal(mask_of("left:1", 1, 4, hides=True)(0)[..., 0], [[1, 0, 0, 0]])  # no file


def test_a_mask_of_the_picture_s_own_size_is_cropped_as_the_picture_is():
    picture = centre_picture(np.zeros((4, 10, 1), np.uint8), 2, 2)
    painted = np.zeros((4, 10, 1), np.uint8)
    painted[:2, 3:5] = 255
    np.testing.assert_array_equal(fit_mask("m", painted, 2, 2, picture)[..., 0], [[1, 0], [0, 0]])
    with pytest.raises(pcnn.InputError, match="2 x 2 pixels, or of that shape. Received: 10 x 4"):
        fit_mask("m", painted, 2, 2)
    with pytest.raises(pcnn.InputError, match="or that of the picture's 10 x 4"):
        fit_mask("m", painted[:, 2:], 2, 2, picture)


def test_a_mask_painted_on_a_reduced_copy_goes_the_way_of_the_picture():
    painted = np.zeros((300, 401, 1), np.uint8)  # of a photo of 601 x 801: sides are rounded
    painted[:, 60:] = 255
    picture = Picture(np.zeros((601, 801, 1), np.uint8), (601, 801), (0, 0, 601, 601), (2, 2))
    np.testing.assert_array_equal(fit_mask("m", painted, 2, 2, picture)[..., 0], [[1, 1], [1, 1]])
    painted[:, :200] = 0
    np.testing.assert_array_equal(fit_mask("m", painted, 2, 2, picture)[..., 0], [[0, 1], [0, 1]])
    square = Picture(np.zeros((60, 60, 1), np.uint8), (60, 60), (0, 30, 30, 60), (2, 2))  # its upper right quarter
    visible = np.zeros((30, 30, 1), np.uint8)
    visible[:, 23:] = 255
    np.testing.assert_array_equal(fit_mask("m", visible, 2, 2, square)[..., 0], [[0, 1], [0, 1]])
    of_the_model = np.array([[0, 255], [255, 0]], np.uint8)[..., None]  # as it is: the quarter would be all white
    np.testing.assert_array_equal(fit_mask("m", of_the_model, 2, 2, square)[..., 0], [[0, 1], [1, 0]])
    larger = np.zeros((6, 6, 1), np.uint8)
    larger[:3, :2] = 255  # two thirds of a pixel, without its last column
    np.testing.assert_array_equal(
        fit_mask("m", larger, 2, 2, Picture(larger[:2, :2], (2, 2), (0, 0, 2, 2), (2, 2)))[..., 0], [[1, 0], [0, 0]])
