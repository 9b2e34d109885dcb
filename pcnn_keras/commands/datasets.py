"""Where the images of a run are: a run remembers it, for what is done with its model later."""

import json
import os

from pcnn_keras.errors import InputError
from pcnn_keras.files import RUN, replacing


def remember(output, data_dir):
    """Keeps the --data-dir of a run in its folder."""
    if data_dir:
        where = data_dir if "://" in data_dir else os.path.abspath(data_dir)
        with replacing(output / RUN) as aside:
            aside.write_text(json.dumps({"data_dir": where}) + "\n", encoding="utf-8")


def remembered(folder):
    """What `remember` kept there, or None."""
    path = folder / RUN
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["data_dir"]) if path.is_file() else None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: give --data-dir.") from error


def data_dir(config, flags):
    """The --data-dir that was given, or that the run of --model remembers; of another data set than its none is."""
    return flags.data_dir or (remembered(flags.model) if flags.dataset in (None, config.dataset) else None)


def model_images(config, flags):
    """The `Splits` of a model's own data set, or of the one that was asked for, as its `config` has them."""
    from pcnn_keras.data.sources import load_model_images

    return load_model_images(config, flags.dataset, data_dir(config, flags))
