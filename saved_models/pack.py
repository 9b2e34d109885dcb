"""Packs a trained model for the repository: its weights in half precision, half as large.

`python saved_models/pack.py RUN/model.keras saved_models/NAME/model.keras`

Models are of single precision whatever their file holds: a weight that was rounded here is computed with as before.
"""

import io
import sys
import zipfile

import h5py
import numpy as np


def halved(weights):
    """The bytes of a weights file, its arrays in float16."""
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as file, h5py.File(packed, "w") as target:
        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                target.create_dataset(name, data=item[()].astype(np.float16))
            else:
                target.require_group(name).attrs.update(item.attrs)

        file.visititems(copy)
    return packed.getvalue()


def main(source, target):
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["model.weights.h5"] = halved(parts["model.weights.h5"])
    with zipfile.ZipFile(target, "w") as archive:  # uncompressed: Keras would unpack it anew at each seek
        for name, content in parts.items():
            archive.writestr(name, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
