"""Larger images in slices: every s-th row and every s-th column (Menick & Kalchbrenner 2018, arXiv:1812.01608).

An image is `s * s` interleaved slices of a `1 / s` of its sides, drawn one after the other. For the network, the slices
drawn before are simply more visible pixels:

    p(x_hidden | c) = product over slices k, over hidden i of slice k in raster order,
                      of p(x_(k,i) | x_(k,<i), slices before k, c)

Slice k holds the pixels of rows k // s, k // s + s, … and columns k % s, k % s + s, …. One network draws all: its
image is the slice, and its conditioning the whole image, shifted so that slice k always has the same phase, and
brought to slice size by space-to-depth. With s = 1 there is one slice, the image itself.
"""

import numpy as np
from keras import ops


def slice_of(x, k, slices):
    """Slice k of `(batch, height, width, …)`, an array or tensor: `(batch, height / slices, width / slices, …)`."""
    return x[:, k // slices :: slices, k % slices :: slices]


def join(parts, slices):
    """The inverse of `slice_of`: from the slices, all `slices * slices` in order, to the whole; `keras.ops`."""
    if slices == 1:
        return parts[0]
    x = ops.stack(parts, axis=1)  # batch, slice, height, width, …
    _, _, height, width, *rest = x.shape
    x = ops.reshape(x, (-1, slices, slices, height, width, *rest))
    x = ops.transpose(x, (0, 3, 1, 4, 2, *range(5, len(x.shape))))
    return ops.reshape(x, (-1, height * slices, width * slices, *rest))


def visible_to_slice(mask, k, slices):
    """A mask `(batch, height, width, 1)`, 1 = visible, array or tensor, with all slices before k visible, too."""
    row, column = np.indices(mask.shape[1:3]) % slices
    before = (row * slices + column < k)[..., None].astype("float32" if "float" in str(mask.dtype) else "int32")
    return mask + (1 - mask) * before


def network_inputs(image, mask, k, slices, concatenate, pad):
    """What the model reads of slice k.

    Args:
        image: float32 `(batch, height, width, channels)` in [0, 1], array or tensor.
        mask: float32 `(batch, height, width, 1)`, 1 = visible, of the same library.
        concatenate, pad: that library's, called as `concatenate([a, b], axis)` and `pad(x, paddings)`.

    Returns:
        A dict: `image`, the slice, and `conditioning`, the masked image and the mask: `(batch, height, width,
        channels + 1)`. With more than one slice, these are seen in cells of `slices * slices` pixels, each of
        which begins with a pixel of slice k, and a row and a column of cells stand before the first such:
        `(batch, height / slices + 1, width / slices + 1, slices * slices * (channels + 2))`, the slice's
        number, one-hot, in the last planes.
    """
    if slices > 1:
        mask = visible_to_slice(mask, k, slices)
    seen = concatenate([image * mask, mask], -1)
    if slices == 1:
        return {"image": image, "conditioning": seen}
    row, column = divmod(k, slices)
    shifted = pad(seen, [(0, 0), (slices - row, row), (slices - column, column), (0, 0)])
    cells = [shifted[:, i::slices, j::slices] for i in range(slices) for j in range(slices)]
    number = [cells[0][..., :1] * 0 + float(i == k) for i in range(slices * slices)]
    return {"image": slice_of(image, k, slices), "conditioning": concatenate([*cells, *number], -1)}
