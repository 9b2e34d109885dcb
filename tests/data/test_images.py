"""Image files of every kind become bytes, or a mistake said in one line."""

import contextlib
import os
import subprocess
import threading
import time
import warnings
from contextlib import suppress

import numpy as np
import pytest
from made_up import png
from PIL import Image

from pcnn_keras.data import images
from pcnn_keras.data.images import convert, list_images, pixels_of, read_image, resize
from pcnn_keras.errors import InputError

GREY = np.arange(0, 240, 8, dtype=np.uint8).reshape(5, 6)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def saved(folder, mode, suffix="png"):
    """COLOUR as a file of a Pillow mode: with alpha, the first row is transparent."""
    image = Image.fromarray(COLOUR if mode in ("RGB", "RGBA", "CMYK", "P") else GREY)
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 257)
    elif mode == "P":
        image = image.quantize(64)
    elif mode.endswith("A"):
        alpha = np.full_like(GREY, 255)
        alpha[0] = 0
        image.putalpha(Image.fromarray(alpha))
    else:
        image = image.convert(mode)
    path = folder / f"{mode.replace(';', '')}.{suffix}"
    image.save(path)
    with Image.open(path) as reread:
        assert reread.mode == mode  # the file is what it is meant to be
    return path


@pytest.mark.parametrize("mode, suffix, channels", [
    ("1", "png", 1), ("L", "png", 1), ("LA", "png", 1), ("I;16", "png", 1),
    ("P", "png", 3), ("RGB", "png", 3), ("RGBA", "png", 3), ("CMYK", "tif", 3),
])
def test_every_mode_gives_bytes_of_the_channels_it_holds(tmp_path, mode, suffix, channels):
    path = saved(tmp_path, mode, suffix)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.shape == (*GREY.shape, channels)
    for asked in (1, 3):
        assert read_image(path, asked).shape == (*GREY.shape, asked)


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_grey_levels_are_kept_and_16_bits_scaled_not_clipped(tmp_path, mode):
    np.testing.assert_array_equal(read_image(saved(tmp_path, mode))[..., 0], GREY)
    np.testing.assert_array_equal(read_image(saved(tmp_path, mode), 3), GREY[..., None].repeat(3, -1))


def test_a_palette_of_greys_is_grey(tmp_path):
    Image.fromarray(GREY).quantize().save(tmp_path / "grey.gif")
    assert read_image(tmp_path / "grey.gif").shape == (*GREY.shape, 1)


def test_colours_are_kept(tmp_path):
    np.testing.assert_array_equal(read_image(saved(tmp_path, "RGB")), COLOUR)
    cmyk = read_image(saved(tmp_path, "CMYK", "tif")).astype(int)
    assert abs(cmyk - COLOUR).max() <= 2


def test_one_bit_is_black_and_white(tmp_path):
    assert set(np.unique(read_image(saved(tmp_path, "1")))) == {0, 255}


@pytest.mark.parametrize("mode, opaque", [("RGBA", COLOUR), ("LA", GREY[..., None])])
def test_what_is_transparent_is_white_and_the_rest_as_it_was(tmp_path, mode, opaque):
    image = read_image(saved(tmp_path, mode))
    assert (image[0] == 255).all()
    np.testing.assert_array_equal(image[1:], np.broadcast_to(opaque, image.shape)[1:])


def damaged(folder):
    """Paths that are no readable image."""
    whole = saved(folder, "RGB").read_bytes()
    (folder / "text.png").write_text("not an image\n")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "folder.png").mkdir()
    return [folder / name for name in ("text.png", "empty.png", "cut.png", "folder.png", "missing.png")]


def test_what_cannot_be_read_is_said_in_one_line_that_names_the_file(tmp_path):
    for path in damaged(tmp_path):
        with pytest.raises(InputError) as caught:
            read_image(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_a_file_cut_anywhere_is_read_or_refused_never_a_crash(tmp_path, suffix):
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(COLOUR).save(whole)
    content, cut = whole.read_bytes(), tmp_path / f"cut.{suffix}"
    for end in np.linspace(0, len(content) - 1, 40).astype(int):
        cut.write_bytes(content[:end])
        with warnings.catch_warnings(action="ignore"):  # of damage that Pillow reads past
            with suppress(InputError):
                assert read_image(cut).shape == COLOUR.shape


@pytest.mark.parametrize("limit", [20, 10])  # Pillow warns above its limit and refuses above twice that
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit):
    path = saved(tmp_path, "L")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match="too many pixels"):
        read_image(path)


def test_convert_to_colour_and_back():
    grey = GREY[..., None]
    assert convert(grey, 1) is grey
    np.testing.assert_array_equal(convert(grey, 3), grey.repeat(3, -1))
    np.testing.assert_array_equal(convert(convert(grey, 3), 1), grey)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape, inside", [((4, 10), np.s_[:, 3:7]), ((9, 4), np.s_[2:6])])
def test_resize_keeps_the_centre_of_the_target_shape_and_nothing_else(channels, shape, inside):
    image = np.full((*shape, channels), 255, np.uint8)
    image[inside] = 7
    for size in (4, 2, 8):
        assert (resize(image, size, size) == 7).all()
        assert resize(image, size, size).shape == (size, size, channels)


def test_resize_can_crop_a_centre_square_of_a_given_side():
    image = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    np.testing.assert_array_equal(resize(image, 4, 4, crop=4), image[3:7, 4:8])
    assert resize(image, 5, 3, crop=99).shape == (5, 3, 3)


def test_an_image_of_the_right_size_stays_as_it_is():
    np.testing.assert_array_equal(resize(COLOUR, 5, 6), COLOUR)


def test_listing_is_sorted_and_of_images_only(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt", "c", "._a.jpg", "samples/grid.png", "samples/samples.npz",
                 "samples/d/1-1.png", "samples/d/grid.png", "samples/mine/e.png", "samples/f.png", "below/grid.png",
                 ".hidden/g.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "album.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG"]
    assert [path.name for path in list_images(tmp_path, below=True)] == [
        "a.jpg", "b.PNG", "grid.png", "f.png", "e.png"]


def test_listing_a_folder_without_images_or_no_folder_is_a_mistake(tmp_path):
    (tmp_path / "notes.txt").touch()
    for folder in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing"):
        with pytest.raises(InputError, match=folder.name):
            list_images(folder)


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 6  # held upright: what is stored is to be turned clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(COLOUR, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_tiff_is_turned_as_any_other_file(tmp_path, orientation, compression, image):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, options in (("turned.png", {}), ("turned.tif", {"compression": compression})):
        Image.fromarray(image).save(tmp_path / name, exif=exif, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.tif"), read_image(tmp_path / "turned.png"))


def test_a_transparent_level_of_16_bits_is_white(tmp_path):
    levels = GREY.astype(np.uint16) * 257
    levels[1] = 0x1234
    levels[2] = 0x1235  # not the same level, only the same byte
    Image.fromarray(levels).save(tmp_path / "deep.png", transparency=0x1234)
    expected = (levels >> 8).astype(np.uint8)
    expected[1] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[..., 0], expected)


@pytest.mark.parametrize("depth, channels", [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_one_transparent_level_or_colour_of_a_png_is_white_whatever_its_depth(tmp_path, depth, channels):
    levels = np.random.default_rng(0).integers(0, 2**depth, (5, 6, channels))
    levels[1, :3] = key = levels[4, 5]
    levels[2, 0] = key ^ np.eye(channels, dtype=int)[-1]  # nearly the same, in bytes of 16 bits quite so
    bits = (levels.reshape(5, -1, 1) >> np.arange(depth)[::-1] & 1).reshape(5, -1)
    rows = np.packbits(bits, axis=1)  # each behind a byte that says how it is filtered
    (tmp_path / "a.png").write_bytes(png(6, 5, depth, channels - 1, np.pad(rows, ((0, 0), (1, 0))).tobytes(), key))
    expected = levels >> 8 if depth == 16 else levels * 255 // (2**depth - 1)
    expected[(levels == key).all(axis=-1)] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)
    with Image.open(tmp_path / "a.png") as image:
        for _ in range(2):
            np.testing.assert_array_equal(pixels_of("image", image), expected)


@pytest.fixture
def pipe(tmp_path):
    """A pipe with a name."""
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path / "pipe.png"


def test_an_image_may_come_through_a_pipe(tmp_path, pipe):
    content = saved(tmp_path, "RGB").read_bytes()

    def slowly():
        with open(pipe, "wb", buffering=0) as file:
            for part in (content[:50], content[50:]):
                time.sleep(0.05)
                file.write(part)

    writer = threading.Thread(target=slowly)
    writer.start()
    np.testing.assert_array_equal(read_image(pipe), COLOUR)
    writer.join()


def test_a_pipe_through_which_nothing_comes_is_not_waited_for_without_end(pipe, monkeypatch):
    monkeypatch.setattr(images, "PATIENCE", 0.1)
    with pytest.raises(InputError, match="nothing has come through the pipe"):
        read_image(pipe)


def test_what_comes_through_a_pipe_has_an_end(monkeypatch):
    monkeypatch.setattr(images, "LARGEST_PIPED", 2**20)
    with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
        with pytest.raises(InputError, match="more than 1 MB"):
            read_image(f"/dev/fd/{endless.stdout.fileno()}")
        endless.kill()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_image(device):
    with pytest.raises(InputError, match="it is no file"):
        read_image(device)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused(tmp_path, kind):
    Image.fromarray(GREY.astype(kind)).save(tmp_path / "deep.tif")
    with pytest.raises(InputError, match="32 bits"):
        read_image(tmp_path / "deep.tif")
    with pytest.raises(InputError, match="`photo` cannot be read: its pixels have 32 bits"):
        pixels_of("photo", Image.fromarray(GREY.astype(kind)))


def test_a_pil_image_that_cannot_be_read_is_said(tmp_path):
    closed = Image.fromarray(GREY)
    closed.close()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:800])
    for image in (closed, Image.open(tmp_path / "cut.png"), Image.new("LAB", (3, 3)), Image.new("L", (0, 0))):
        with pytest.raises(InputError, match="^`photo` cannot be read: "):
            pixels_of("photo", image, 1)


def test_what_libtiff_says_of_a_damaged_file_stays_off_the_screen(tmp_path, capfd):
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "group4"):
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
        (image.convert("1") if compression == "group4" else image).save(tmp_path / "a.tif", compression=compression)
        content = bytearray((tmp_path / "a.tif").read_bytes())
        for at in range(20, len(content) // 2, 7):
            content[at] ^= 255
            (tmp_path / "a.tif").write_bytes(content)
            with contextlib.suppress(InputError):
                read_image(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


def test_a_smaller_picture_is_an_average():
    board = (255 * (np.indices((8, 8)).sum(axis=0) % 2)).astype(np.uint8)[..., None]
    assert np.abs(resize(board, 4, 4).astype(int) - 127).max() < 20


def test_colours_become_as_grey_as_they_are_bright(tmp_path):
    primaries = np.eye(3, dtype=np.uint8)[None] * np.uint8(255)
    Image.fromarray(primaries).save(tmp_path / "a.png")
    for grey in (read_image(tmp_path / "a.png", 1), convert(primaries, 1),
                 pixels_of("image", Image.fromarray(primaries), 1)):
        assert grey[0, :, 0].tolist() == [76, 150, 29]  # ITU-R BT.601
