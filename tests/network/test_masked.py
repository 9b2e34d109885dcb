import keras
import numpy as np
import pytest

from pcnn_keras.network.masked import MaskedConv2D, channel_groups, kernel_mask

STACKS = [("vertical", (5, 5)), ("vertical", (3, 3)), ("horizontal", (1, 5)), ("horizontal", (1, 3)),
          ("plain", (5, 5)), ("plain", (3, 3)), ("plain", (1, 1))]


def may_see(stack, restricted, rows_off, columns_off, sender, receiver):
    """The definition, tap by tap: what lies (rows_off, columns_off) away, seen by group `receiver`."""
    if stack == "vertical":
        return rows_off < 0 or (rows_off == 0 and not restricted)
    if (rows_off, columns_off) != (0, 0):
        return (rows_off, columns_off) < (0, 0)
    return sender < receiver if restricted else sender <= receiver


@pytest.mark.parametrize("stack, size", STACKS)
@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("groups, channels, filters", [(1, 1, 2), (3, 3, 6), (3, 5, 8), (2, 4, 2)])
@pytest.mark.parametrize("gated", [True, False])
def test_mask_is_the_definition(stack, size, restricted, groups, channels, filters, gated):
    mask = kernel_mask(size, channels, filters, stack, restricted, groups, gated)
    senders = channel_groups(channels, groups)
    receivers = np.concatenate([channel_groups(filters // 2, groups)] * 2) if gated else channel_groups(filters, groups)
    for (row, column, i, o), value in np.ndenumerate(mask):
        assert value == may_see(stack, restricted, row - size[0] // 2, column - size[1] // 2, senders[i], receivers[o])


def test_groups_are_even_runs_in_order():
    assert np.bincount(channel_groups(32, 3)).tolist() == [11, 11, 10]
    assert (np.diff(channel_groups(66, 3)) >= 0).all()


@pytest.mark.parametrize("arguments", [
    {"stack": "diagonal"}, {"stack": "horizontal"}, {"kernel_size": 4}, {"filters": 5, "gated": True}])
def test_unfit_arguments_are_errors(arguments):
    with pytest.raises(ValueError, match="Received"):
        MaskedConv2D(**{"filters": 4, "kernel_size": 3, **arguments})


@pytest.mark.parametrize("stack, size, restricted, groups, cropped", [
    ("vertical", 5, False, 1, (3, 5)), ("vertical", 5, True, 1, (2, 5)),
    ("horizontal", (1, 5), False, 1, (1, 3)), ("horizontal", (1, 5), True, 1, (1, 2)),
    ("horizontal", (1, 5), True, 3, (1, 3)), ("plain", 5, False, 1, (3, 5)), ("plain", 1, False, 3, (1, 1))])
def test_taps_that_see_nothing_are_cropped(stack, size, restricted, groups, cropped):
    layer = MaskedConv2D(6, size, stack=stack, restricted=restricted, channel_groups=groups)
    layer.build((None, 8, 8, 3))
    assert layer.kernel.shape[:2] == cropped


@pytest.mark.parametrize("stack, size", [entry for entry in STACKS if entry[1] != (1, 1)])
@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("height, width", [(7, 6), (1, 1), (1, 4), (2, 1)])
def test_cropped_convolution_equals_the_full_masked_one(stack, size, restricted, groups, height, width):
    layer = MaskedConv2D(6, size, stack=stack, restricted=restricted, channel_groups=groups, gated=True)
    x = np.random.default_rng(0).normal(size=(2, height, width, 4)).astype("float32")
    result = keras.ops.convert_to_numpy(layer(x))

    full = kernel_mask(size, 4, 6, stack, restricted, groups, gated=True)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    rows, columns = np.nonzero(full.any(axis=(2, 3)))
    full[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] *= kernel
    padded = np.pad(x, [(0, 0), (size[0] // 2,) * 2, (size[1] // 2,) * 2, (0, 0)])
    expected = np.zeros_like(result)
    for row, column in np.ndindex(*size):
        expected += padded[:, row : row + height, column : column + width] @ full[row, column]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("stack, size, restricted, groups", [
    ("vertical", 5, True, 1), ("plain", 5, False, 3), ("plain", 1, False, 3), ("horizontal", (1, 3), True, 3)])
def test_initial_weights_have_the_variance_of_what_each_output_sees(stack, size, restricted, groups):
    layer = MaskedConv2D(300, size, stack=stack, restricted=restricted, channel_groups=groups)
    layer.build((None, 8, 8, 60))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    seen = layer.kernel_mask.sum(axis=(0, 1, 2))
    spread = (kernel**2 * layer.kernel_mask).sum(axis=(0, 1, 2))  # fan-in times variance: one
    for receiver in range(groups):
        of_group = (channel_groups(300, groups) == receiver) & (seen > 0)
        assert spread[of_group].mean() == pytest.approx(1, abs=0.1)


def test_weights_are_never_overwritten():
    layer = MaskedConv2D(6, 1, channel_groups=3)
    layer.build((None, 4, 4, 6))
    layer.kernel.assign(keras.ops.ones((1, 1, 6, 6)))
    layer(np.ones((1, 4, 4, 6), "float32"))
    assert (keras.ops.convert_to_numpy(layer.kernel) == 1).all()


def test_initializer_is_that_of_the_config():
    layer = MaskedConv2D(4, 3, kernel_initializer="he_normal")
    layer.build((None, 4, 4, 2))
    assert layer.get_config()["kernel_initializer"]["class_name"] == "HeNormal"
    assert layer.get_config()["kernel_size"] == (3, 3)


@pytest.mark.parametrize("stack, size, restricted, groups", [
    (*entry, restricted, groups) for entry in STACKS for restricted in (True, False) for groups in (1, 3)
    if (entry[1], restricted, groups) != ((1, 1), True, 1)])  # that one sees nothing
@pytest.mark.parametrize("height, width", [(6, 5), (3, 1)])
def test_row_form_equals_the_layer(stack, size, restricted, groups, height, width):
    layer = MaskedConv2D(6, size, stack=stack, restricted=restricted, channel_groups=groups, activation="relu")
    x = np.random.default_rng(0).normal(size=(2, height, width, 4)).astype("float32")
    whole = np.asarray(layer(x))
    layer.bias.assign(np.linspace(-1, 1, 6))
    assert (np.asarray(layer(x)) != whole).any()
    whole, row = np.asarray(layer(x)), layer.row_form()
    rows = layer.kernel.shape[0]
    above = rows if restricted and stack == "vertical" else rows - 1
    padded = np.pad(x, [(0, 0), (above, 0), (0, 0), (0, 0)])
    for i in range(height):
        window = np.concatenate([padded[:, i + j] for j in range(rows)], axis=-1).transpose(1, 0, 2)
        np.testing.assert_allclose(np.asarray(row(window)), whole[:, i].transpose(1, 0, 2), atol=1e-5)
