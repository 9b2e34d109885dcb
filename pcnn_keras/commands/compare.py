"""Runs side by side: the settings in which they differ, how long they are, and their best held-out likelihood."""

from pathlib import Path

from pcnn_keras.commands.flags import Parser
from pcnn_keras.config import Config
from pcnn_keras.errors import InputError
from pcnn_keras.files import CHECKPOINT, expect_files
from pcnn_keras.models import find_model
from pcnn_keras.training.history import HEAD, HISTORY, JUDGED_BY, best, read_history


def parse():
    parser = Parser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run, or the name of a model")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also draw their held-out curves: a PNG file")
    return parser.parse_args()


def read_run(folder):
    """The `Config` and the history of a run."""
    if (folder / CHECKPOINT).is_file() and not (folder / HISTORY).is_file():
        raise InputError(f"The run in {folder} has not come to the end of its first epoch.")
    expect_files(folder, "config.json", HISTORY, of="a run")
    return Config.load(folder / "config.json"), read_history(folder)


def table(runs):
    """Rows of text, the first cell of each a name: settings that differ, then what came of them.

    Args:
        runs: `{name: (Config, history)}`.
    """
    configs, histories = zip(*runs.values())
    told = [config.in_words() for config in configs]
    values = [[name, *(words[name] for words in told)] for name in told[0]]
    rows = [["", *runs], *(row for row in values if len({*row[1:]}) > 1)]
    bests = [best(history) for history in histories]
    last = [history[-1] for history in histories]
    rows += [["steps", *(f"{row['step']:.0f}" for row in last)],
             ["seconds", *(f"{row['seconds']:.0f}" if "seconds" in row else "" for row in last)],
             ["best held-out nats an image", *(f"{row[JUDGED_BY]:.2f}" for row in bests)],
             ["the conditional head's, there", *(f"{row[HEAD]:.2f}" for row in bests)],
             ["at step", *(f"{row['step']:.0f}" for row in bests)]]
    return rows


def main():
    flags = parse()
    runs = {name: read_run(find_model(name)) for name in flags.runs}
    rows = table(runs)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for name, *cells in rows:
        print(name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:])), sep="  ")
    if flags.output:
        from pcnn_keras.plots import held_out_curves

        curves = {name: [(row["step"], row[JUDGED_BY]) for row in history] for name, (_, history) in runs.items()}
        held_out_curves(flags.output, curves)
        print(f"Wrote {flags.output}.")
