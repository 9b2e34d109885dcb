"""What Python callers hand over is checked where it comes in: an `InputError` of one line, never another error."""

import keras
import numpy as np
import pytest
from conftest import CONFIG, IMAGES, TINY, enlarge

import pcnn_keras as pcnn
from pcnn_keras.data.masks import parse_mask
from pcnn_keras.export.signatures import export

IMAGE, MASK = np.zeros((1, 4, 5, 1), int), np.zeros((1, 4, 5, 1), int)
NO_NUMBERS = [True, np.True_, None, "1", 1.0, 2.5, float("nan"), [1], -1, 10**400, 10**5000]


@pytest.fixture(scope="module")
def model():
    return enlarge(pcnn.build_model(TINY), 2.0)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_whole_numbers_are_whole_numbers(model, value):
    for call in (lambda: pcnn.inpaint(model, IMAGE, MASK, num_samples=value),
                 lambda: pcnn.inpaint(model, IMAGE, MASK, 1, batch_size=value if value is not None else 0),
                 lambda: pcnn.inpaint(model, IMAGE, MASK, 1, candidates=value if value is not None else 0),
                 lambda: pcnn.log_likelihood(model, IMAGE, MASK, batch_size=value),
                 lambda: pcnn.pixel_probabilities(model, IMAGE, MASK, batch_size=value),
                 lambda: pcnn.random_blob_masks(value, 4, 5), lambda: pcnn.random_blob_masks(1, value, 5),
                 lambda: pcnn.random_blob_masks(1, 4, 5, iter_max=value),
                 lambda: pcnn.random_blob_masks(1, 4, 5, seed=value),
                 lambda: pcnn.load_images("digits", size=value if value is not None else 0),
                 lambda: pcnn.load_images("digits", slices=value if value != 1 else 0),
                 lambda: parse_mask("bottom:1", value, 5), lambda: parse_mask("bottom:1", 4, value),
                 lambda: parse_mask("none", 4, 5)(value), lambda: parse_mask("random:0.15", 4, 5)(value),
                 lambda: pcnn.to_levels(MASK, value), lambda: pcnn.to_pixels(MASK, value),
                 lambda: pcnn.Splits(*[np.zeros((1, 4, 5, 1), np.uint8)] * 3).quantized(value),
                 lambda: TINY.replace(epochs=value)):
        with pytest.raises(pcnn.InputError) as caught:
            call()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [True, None, "1", -0.1, float("nan"), float("inf"), 10**400, 1e300, [1.0]])
def test_a_temperature_is_a_number(model, value):
    with pytest.raises(pcnn.InputError, match="temperature"):
        pcnn.inpaint(model, IMAGE, MASK, 1, value)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_whole_numbers_of_numpy_are_taken(model, kind):
    assert pcnn.inpaint(model, IMAGE, MASK, kind(100)).samples.shape == (1, 100, 4, 5, 1)
    assert pcnn.random_blob_masks(kind(2), kind(4), kind(5), seed=kind(3)).shape == (2, 4, 5, 1)


def test_masks_that_would_fill_the_memory_are_refused():
    for sizes in ((10**9, 28, 28), (1, 2**20, 2**20), (10**8, 1, 1, 1000, 0, 0), (2**18, 1, 1, 1000, 0, 0)):
        with pytest.raises(pcnn.InputError, match="too many"):
            pcnn.random_blob_masks(*sizes)


@pytest.mark.parametrize("value", [0, 1, 257, 1000, 2**16 + 2])
def test_there_are_as_many_levels_as_fit_into_bytes(value):
    with pytest.raises(pcnn.InputError, match="`num_levels` must be a whole number from 2 to 256"):
        pcnn.Splits(*[np.zeros((1, 4, 5, 1), np.uint8)] * 3).quantized(value)


@pytest.mark.parametrize("value", [[1, 2, 3], [.5, .5], ["1", "2"], [None, 1], [[1, 2]], [True, False], [1j, 2]])
def test_the_seed_of_blobs_is_one_number_or_two_whole_ones(value):
    for seed in (value, np.array(value)):
        with pytest.raises(pcnn.InputError, match="`seed` must be a whole number"):
            pcnn.random_blob_masks(1, 4, 5, seed=seed)
    assert pcnn.random_blob_masks(1, 4, 5, seed=np.array([1, 2])).shape == (1, 4, 5, 1)


def test_a_mask_that_would_fill_the_memory_is_refused():
    for spec in ("all", "random:0.5", "blobs"):
        with pytest.raises(pcnn.InputError, match="too large"):
            parse_mask(spec, 2**20, 2**20)


@pytest.mark.parametrize("image", [[[1], [1, 2]], [[0], 1], [None], [object()], "image", {}], ids=range(6))
def test_what_is_no_array_is_no_picture(image):
    for change in (pcnn.to_levels, pcnn.to_pixels):
        with pytest.raises(pcnn.InputError, match="`image`"):
            change(image, 2)


def test_a_mistake_is_said_in_one_line():
    assert str(pcnn.InputError("two\nlines \r\n and\ttabs")) == "two lines and tabs"


@pytest.mark.parametrize("value", [None, 3, b"digits", ["digits"], {}])
def test_what_is_named_is_named_in_words(value):
    for call in (lambda: pcnn.load(value), lambda: pcnn.load_images(value), lambda: parse_mask(value, 4, 5),
                 lambda: pcnn.Config.preset(value), lambda: pcnn.Config.load(value),
                 lambda: pcnn.load_images("folder", value)):
        with pytest.raises(pcnn.InputError):
            call()


@pytest.mark.parametrize("fields", [{1: 2}, {None: 1, "two": 2}, {(): 1}, {10**5000: 1}, [], None])
def test_settings_are_named_in_words(fields):
    with pytest.raises(pcnn.InputError, match="Unknown setting|Expected a table of settings"):
        pcnn.Config.from_dict(fields)


def test_settings_that_json_can_hold_are_said_in_one_short_line(tmp_path):
    for text in ('{"two\\nlines": 1}', f'{{"alpha": {"9" * 4000}}}', f'{{"epochs": {"9" * 4000}}}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(pcnn.InputError) as caught:
            pcnn.Config.load(tmp_path / "config.json")
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("wrong", [None, "digits", 3, {}])
def test_a_model_is_a_model_and_settings_are_settings(wrong, tmp_path):
    for name, call in (
            ("model", lambda: pcnn.inpaint(wrong, IMAGE, MASK)), ("model", lambda: export(wrong, tmp_path)),
            ("model", lambda: pcnn.log_likelihood(wrong, IMAGE, MASK)),
            ("model", lambda: pcnn.pixel_probabilities(wrong, IMAGE, MASK)),
            ("model", lambda: pcnn.probability_progression(wrong, IMAGE, MASK)),
            ("config", lambda: pcnn.build_model(wrong)), ("config", lambda: pcnn.train(wrong, IMAGES, tmp_path)),
            ("images", lambda: pcnn.train(CONFIG, wrong, tmp_path))):
        with pytest.raises(pcnn.InputError, match=f"`{name}` must be of type"):
            call()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("change", [
    {"output": None}, {"output": 3}, {"callbacks": keras.callbacks.TerminateOnNaN()}, {"callbacks": None},
    {"initial": "digits"}, {"initial": False}, {"strategy": "mirrored"}, {"strategy": False}, {"keeping": 300}])
def test_what_training_does_not_take_leaves_nothing(change, tmp_path):
    with pytest.raises(pcnn.InputError, match=f"`{next(iter(change))}` must be of type"):
        pcnn.train(CONFIG, IMAGES, **{"output": tmp_path, **change})
    assert not [*tmp_path.iterdir()]


def test_what_tells_progress_is_a_function(model):
    with pytest.raises(pcnn.InputError, match="progress"):
        pcnn.inpaint(model, IMAGE, MASK, 1, progress=3)


def test_truth_values_are_no_levels_where_there_are_more_than_two():
    model = pcnn.build_model(TINY.replace(num_levels=3))
    with pytest.raises(pcnn.InputError, match="to_levels"):
        pcnn.inpaint(model, IMAGE.astype(bool), MASK, 1)
