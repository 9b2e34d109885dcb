"""Packs a trained model for the repository: its weights in half precision, half as large.

`python saved_models/pack.py RUN/model.keras saved_models/NAME/model.keras`

Models are of single precision whatever their file holds: a weight that was rounded here is computed with as before.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np


def halved(weights):
    """The bytes of a weights file, its arrays in float16."""
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as file, h5py.File(packed, "w") as target:
        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                half = item[()].astype(np.float16)
                if not np.isfinite(half).all():
                    sys.exit(f"{name} does not fit into half precision")
                target.create_dataset(name, data=half)
            else:
                target.require_group(name).attrs.update(item.attrs)

        file.visititems(copy)
    return packed.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    flags = parser.parse_args()
    with zipfile.ZipFile(flags.source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["model.weights.h5"] = halved(parts["model.weights.h5"])
    flags.target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(flags.target, "w") as archive:  # uncompressed: Keras would unpack it anew at each seek
        for name, content in parts.items():
            archive.writestr(name, content)


if __name__ == "__main__":
    main()
