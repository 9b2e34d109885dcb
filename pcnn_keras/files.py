"""Files that are there whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pcnn_keras.errors import InputError, reason

CHECKPOINT = "checkpoint.npz"
"""In the folder of a run, what it needs to go on."""

RUN = "run.json"
"""In the folder of a run, what is true on this machine alone: where its images are. It goes along with no model."""

COMPLETIONS, PROGRESSION = ("grid.png", "samples.npz"), "progression.png"
"""What completions are kept in, and how one was drawn; a grid is in each image's own folder, too."""

CLASSIFIER = "classifier.keras"
"""In the folder of a model, what judges how real its completions look."""


def expect_files(folder: Path, *names: str, of: str = "a trained model") -> None:
    """
    Raises:
        InputError: if the folder lacks one of these files: it is not the folder `of` what is wanted.
    """
    for name in names:
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}: it is not the folder of {of}.")


def expect_writable(path: Path | str) -> None:
    """Called before work that ends with a file.

    Raises:
        InputError: if `path` is a device, a pipe or a folder, or its folder is not there or may not be written to.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} cannot be written: it is no regular file.")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: {folder} is no folder that may be written to.")


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """`with replacing(path) as aside:` write the file `aside`, which then takes the place of `path`.

    A process that dies on the way, or a disk that is full, leaves `path` as it was. Where `path` is a
    link, what it points to is replaced.

    Raises:
        InputError: if the disk says no, or as `expect_writable`.
    """
    expect_writable(path)
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.stem}.tmp{os.getpid()}{target.suffix}")
    try:
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def remove_leftovers(folder: Path | str) -> None:
    """Removes what processes that died have left aside in a folder."""
    for aside in Path(folder).glob(".*.tmp[0-9]*"):
        aside.unlink(missing_ok=True)


def make_folder(path: Path | str) -> None:
    """Makes a folder and those above it, if they are not there.

    Raises:
        InputError: if that cannot be.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def output_folder(path: Path | str) -> Iterator[None]:
    """`with output_folder(path):` makes a folder; what was made and is still empty goes if what is inside fails.

    Raises:
        InputError: as `make_folder`.
    """
    made = [folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]
    make_folder(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it holds something
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def replacing_all(folder: Path | str) -> Iterator[Path]:
    """`with replacing_all(folder) as aside:` what is written into `aside`, and into folders in it, goes to `folder`
    once all of it is written.

    Raises:
        InputError: if the disk says no: while it is written, nothing has gone there. As `replacing`, for each file.
    """
    aside = None
    with output_folder(folder):
        try:
            with TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as aside:
                yield Path(aside)
                for path in [path for path in Path(aside).rglob("*") if path.is_file()]:
                    place = Path(folder) / path.relative_to(aside)
                    make_folder(place.parent)
                    with replacing(place) as new:
                        shutil.move(path, new)  # a link may lead to another disk
        except OSError as error:
            raise unwritable(folder, error) from error
        except InputError as error:
            if aside and str(Path(aside)) in str(error):  # which nobody but us knows
                raise unwritable(folder, error.__cause__ or error) from error
            raise


@contextmanager
def locked(folder):
    """`with locked(folder):` one process at a time; the lock ends with its process, however that ends.

    It leaves no file. Where the disk knows no locks on folders (some of networks), there is none.

    Raises:
        InputError: if another process has it; says which, where that can be known.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is being written by another run{_holder(handle)}.") from None
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def _holder(handle):
    with suppress(OSError, IndexError):  # no /proc
        inode = f":{os.fstat(handle).st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(inode):
                return f", process {fields[4]}"
    return ""


def unwritable(path: Path | str, error: BaseException) -> InputError:
    """The `InputError` that says so, for the disk's `error`."""
    return InputError(f"{path} cannot be written: {reason(error)}.")
