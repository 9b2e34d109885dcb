"""Images and masks in whatever form a caller has them become the same arrays, and mistakes name what was written."""

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.data.masks import parse_mask
from pcnn_keras.inference.inputs import read_inputs

LEVELS = np.random.default_rng(0).integers(0, 2, (3, 4, 5, 1))
MASK = parse_mask("left:2", 4, 5)(0)


@pytest.fixture
def files(tmp_path):
    """The images as files, and the mask."""
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, levels in zip(paths, LEVELS):
        Image.fromarray(pcnn.to_pixels(levels[..., 0], 2)).save(path)
    Image.fromarray(pcnn.to_pixels(MASK[..., 0], 2)).save(tmp_path / "mask.png")
    return paths, tmp_path / "mask.png"


def test_one_image_in_every_form(files):
    (path, *_), mask_path = files
    pixels = pcnn.to_pixels(LEVELS[0, ..., 0], 2)
    for image in (LEVELS[0], LEVELS[0, ..., 0], LEVELS[0].astype(bool), LEVELS[0].tolist(), path, str(path),
                  Image.fromarray(pixels), Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).convert("RGB")):
        for mask in (MASK, MASK[..., 0], MASK[..., 0] == 1, "left:2", mask_path, str(mask_path), Image.open(mask_path)):
            images, masks, single = read_inputs(TINY, image, mask)
            assert single and images.dtype == masks.dtype == np.int32
            np.testing.assert_array_equal(images, LEVELS[:1])
            np.testing.assert_array_equal(masks, MASK[None])


def test_a_batch_with_one_mask_or_one_for_each(files):
    paths, mask_path = files
    for images in (LEVELS, paths, [*map(str, paths)], [*map(Image.open, paths)]):
        for masks in (MASK, np.stack([MASK] * 3), "left:2", ["left:2", mask_path, Image.open(mask_path)]):
            found, found_masks, single = read_inputs(TINY, images, masks)
            assert not single
            np.testing.assert_array_equal(found, LEVELS)
            np.testing.assert_array_equal(found_masks, [MASK] * 3)
    random = read_inputs(TINY, LEVELS, "random:0.5")[1]
    np.testing.assert_array_equal(random, [parse_mask("random:0.5", 4, 5)(i) for i in range(3)])


def test_a_mask_painted_on_a_photo_goes_its_way(tmp_path):
    Image.new("L", (30, 8), 200).save(tmp_path / "photo.png")
    painted = np.zeros((8, 30), np.uint8)
    painted[:, 10:14] = 255  # the centre crop has columns 10 to 19
    Image.fromarray(painted).save(tmp_path / "painted.png")
    masks = read_inputs(TINY, tmp_path / "photo.png", tmp_path / "painted.png")[1]
    np.testing.assert_array_equal(masks[0], MASK)
    with pytest.raises(pcnn.InputError, match="expected an image of 5 x 4 pixels"):
        read_inputs(TINY, LEVELS[0], tmp_path / "painted.png")


def test_the_public_functions_take_them(tiny, files):
    paths, _ = files
    expected = pcnn.inpaint(tiny, LEVELS, np.stack([MASK] * 3), 2).samples
    np.testing.assert_array_equal(pcnn.inpaint(tiny, paths, "left:2", 2).samples, expected)
    np.testing.assert_array_equal(pcnn.inpaint(tiny, paths[0], MASK[..., 0], 2).samples, expected[0])
    assert pcnn.log_likelihood(tiny, paths[0], "left:2").shape == (1,)
    assert pcnn.pixel_probabilities(tiny, LEVELS, "left:2").shape == (3, 4, 5, 1, 2)
    digit = pcnn.prepare_digit(paths[0], 4, 5)
    assert pcnn.inpaint(tiny, digit, "left:2", 2).samples.shape == (2, 4, 5, 1)


@pytest.mark.parametrize("image, mask, said", [
    (np.full((4, 5, 1), 200, np.uint8), MASK, r"`image` .*pcnn.to_levels\(image, model\).* uint8 from 200 to 200"),
    (np.full((4, 5), 0.5), MASK, r"`image` .*to_levels.* float64 from 0.5"),
    (np.zeros((5, 4)), MASK, r"`image` must be of shape"), ("missing.png", MASK, "missing.png"),
    (LEVELS[0], MASK * 2, "`mask` must hold whole numbers from 0 to 1: `mask > 127`"),
    (LEVELS[0], "upper:1", "^Mask 'upper:1'"),
    (LEVELS, [MASK[0]] * 2, "`mask`"), (LEVELS, ["all"] * 2, "As many masks"), (LEVELS, ["all"] * 4, "As many masks"),
    (None, "all", "`image`"), (LEVELS[0], None, "`mask`"), ([], "all", "`image`"), (LEVELS[0], [], "`mask`"),
    ([Image.new("L", (5, 4)), None], MASK, "`image`"),
    (pcnn.prepare_digit(np.zeros((9, 9), np.uint8)), MASK, "`image` .* prepared for 28 x 28 pixels, not 4 x 5")])
def test_mistakes_name_what_the_caller_wrote(tiny, image, mask, said):
    with pytest.raises(pcnn.InputError, match=said):
        pcnn.inpaint(tiny, image, mask, 1)
