"""What a run leaves for people: weights, history and pictures; and whether there is room for it."""

import json
import os
import resource
import shutil
from contextlib import suppress

import keras

from pcnn_keras.config import VERSION, Config
from pcnn_keras.data.pipeline import held_out_masks
from pcnn_keras.errors import InputError
from pcnn_keras.files import CHECKPOINT, RUN, replacing
from pcnn_keras.inference.sampling import inpaint
from pcnn_keras.network.model import build_model
from pcnn_keras.plots import completion_grid, training_curves
from pcnn_keras.training.history import HISTORY, best, write_history

COPIES = 10
"""Of the weights on the disk: a checkpoint has 3, and 3 aside; two model files, one aside; `serving/`."""

SMALL_FILES = 5_000_000
"""Bytes of pictures, history and graphs, roughly."""


REPLACED = ("config.json", RUN, HISTORY, "last.keras", "curves.png", "completions.png", "visible.json")
"""What else of another program's would be lost."""


class RunFiles(keras.callbacks.Callback):
    """After every epoch writes `last.keras`, `history.csv`, the pictures and, at its best so far, `model.keras`.

    Args:
        run: the `Run`, whose history has the epoch already.
        images: held-out levels, of which the first few are completed.
        pictures: as `Keeping.pictures`.
    """

    def __init__(self, run, images, pictures=True):
        super().__init__()
        self._run, self._shown, self._pictures = run, images[:6], pictures
        self._kept = build_model(run.config)  # what goes into the files: no optimizer, not compiled

    def on_epoch_end(self, epoch, logs=None):
        self._kept.set_weights(self.model.get_weights())
        self._write_weights("last.keras")
        if best(self._run.history) is self._run.history[-1]:
            self._write_weights("model.keras")
        write_history(self._run.folder, self._run.history)
        if self._pictures:
            training_curves(self._run.folder / "curves.png", self._run.history)
            self._draw_completions()

    def _write_weights(self, name):
        with replacing(self._run.folder / name) as aside:
            self._kept.save(aside)

    def _draw_completions(self):
        """`completions.png`: fixed held-out images under fixed masks and noise."""
        config = self._run.config
        masks = held_out_masks(len(self._shown), config)
        result = inpaint(self._kept, self._shown, masks, num_samples=6, seed=range(len(masks))).ranked()
        completion_grid(self._run.folder / "completions.png", self._shown, masks, result.samples,
                        result.log_likelihood, config.num_levels)


def check_output(output):
    """Foresees whether a new run can be kept in a folder; makes nothing.

    Raises:
        InputError: if it holds a model already, or what is of no run and would be replaced, or cannot be written.
    """
    if any(os.path.exists(output / name) for name in ("model.keras", CHECKPOINT)):
        raise InputError(f"{output} holds a model already (use --resume, or another --output).")
    there = [name for name in REPLACED if os.path.exists(output / name)]
    if there and not is_begun(output):
        raise InputError(f"{output} holds a {there[0]} that is of no run: another --output is needed.")
    existing = _existing(output)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise InputError(f"{output} cannot be written: {existing} is no folder that can be written to.")


def is_begun(output):
    """Whether a folder holds what a run leaves first."""
    with suppress(OSError, ValueError):
        Config.load(output / "config.json")
        return VERSION in json.loads((output / "config.json").read_text(encoding="utf-8"))
    return False


def check_space(output, model):
    """Foresees whether a disk has room for all that a run writes.

    Raises:
        InputError: if it has not.
    """
    own = (output / name for name in (CHECKPOINT, "last.keras", "model.keras"))
    there = sum(path.stat().st_size for path in own if path.is_file())  # of a run that goes on
    needed = COPIES * 4 * model.count_params() + SMALL_FILES - there
    free = shutil.disk_usage(_existing(output)).free
    if free < needed:
        raise InputError(f"{output} has too little space: the run needs about {needed / 1e6:.0f} MB, "
                         f"and {free / 1e6:.0f} MB are free.")
    checkpoint, most = 3 * 4 * model.count_params() + SMALL_FILES, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most != resource.RLIM_INFINITY and most < checkpoint:
        raise InputError(f"{output} cannot hold the run: a file may have {most / 1e6:.1f} MB here (ulimit -f), "
                         f"and the run needs one of up to {checkpoint / 1e6:.0f} MB.")


def _existing(folder):
    """The folder, or the first above it that is there."""
    return next(above for above in (folder, *folder.absolute().parents) if os.path.exists(above))
