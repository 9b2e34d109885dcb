"""`history.csv` in the folder of a run: a row for each epoch."""

import csv

from pcnn_keras.errors import InputError
from pcnn_keras.files import replacing

HISTORY = "history.csv"

JUDGED_BY = "val_logits_nats_per_image"
"""The figure of held-out images that says which weights are best."""

HEAD = "val_conditional_logits_nats_per_image"
"""The same of the conditional head alone."""


def best(history):
    """The row of the epoch whose weights are kept as the best."""
    return min(history, key=lambda row: row[JUDGED_BY])


def write_history(folder, history):
    """Writes a run's history, a list of dicts."""
    with replacing(folder / HISTORY) as aside, open(aside, "w", newline="") as file:
        table = csv.DictWriter(file, history[0])
        table.writeheader()
        table.writerows(history)


def read_history(folder):
    """What `write_history` wrote, all of it numbers.

    Raises:
        InputError: if it is damaged, or has no epoch.
    """
    path = folder / HISTORY
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: it is damaged.") from error
    if not rows or not {"step", JUDGED_BY, HEAD} <= set(rows[0]):
        raise InputError(f"{path} holds no epoch of a run.")
    return rows
