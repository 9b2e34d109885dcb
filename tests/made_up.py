"""What hypothesis makes up: how many cases, values of JSON, files that are damaged in some way."""

import io
import os
import struct
import zipfile
import zlib

import h5py
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FULL = int(os.environ.get("PCNN_CASES", 210))
FEW = 5


def cases(count):
    """That many examples, drawn anew in each run of `.ci/full`, and fixed in the ordinary suite."""
    return settings(max_examples=count, deadline=None, database=None, derandomize=count == FEW,
                    suppress_health_check=list(HealthCheck))


def files(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def png(width, height, depth=8, colour=0, content=b"\0", transparent=()):
    """A PNG of raw parts, honest or not."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if len(transparent) else b""
    content = chunk(b"IHDR", header) + key + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


JSON = st.one_of(st.none(), st.booleans(), st.integers(-2, 40), st.floats(), st.text(max_size=5), st.just([]),
                 st.just({}), st.just(10**30))


def change_weights(path, change):
    """Changes the weights inside a `model.keras`: `change` is given the open HDF5 file."""
    def apply(data):
        buffer = io.BytesIO(data)
        with h5py.File(buffer, "r+") as file:
            change(file)
        return buffer.getvalue()
    rewrite(path, lambda names: "model.weights.h5", apply)


def rewrite(path, choose, change, method=zipfile.ZIP_STORED):
    """Changes the content of one file of a zip archive, and how it is compressed."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    chosen = choose(sorted(content))
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            changed = name == chosen
            archive.writestr(name, change(data) if changed else data, method if changed else zipfile.ZIP_STORED)
