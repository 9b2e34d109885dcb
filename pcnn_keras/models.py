"""Where a trained model is: a folder, the name of one that comes with the package, or a repository of the Hub."""

import os
from pathlib import Path

from pcnn_keras import hub
from pcnn_keras.errors import InputError, shown

HOME = Path("saved_models")
"""Where the programs keep models."""

SHIPPED = (Path(__file__).parent / HOME, Path(__file__).parents[1] / HOME)
"""The folder of models that come with the package: in an installed one, and in a checkout."""


def find_model(name: Path | str) -> Path:
    """The folder of a trained model.

    Args:
        name: a folder, or the name of a model that comes with the package, such as "mnist"; "saved_models/mnist" is
            the same one, where no model is in a folder of that name here; or "hf://USER/REPO[@REVISION]", as
            `hub.download` has it.

    Raises:
        InputError: if there is neither; lists the names there are. As `hub.download`.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"Expected the folder or the name of a trained model. Received: {shown(name)}.")
    if str(name).startswith(hub.SIGN):
        return hub.download(str(name))
    folder, shipped = Path(name), shipped_models()
    ships = folder in (Path(folder.name), HOME / folder.name) and folder.name in shipped
    holds_one = any(os.path.isfile(folder / name) for name in ("config.json", "model.keras"))
    if holds_one or os.path.exists(folder) and not ships:
        return folder
    if ships:
        return shipped[folder.name]
    raise InputError(f"There is no model {str(name)!r}: no such folder, and none of those that come with "
                     f"the package ({', '.join(shipped)}).")


def shipped_models() -> dict[str, Path]:
    """The folders of the models that come with the package, by name: in a checkout, those that have a card."""
    return {folder.name: folder for home in SHIPPED for folder in models_in(home) if (folder / hub.CARD).is_file()}


def models_in(home: Path) -> list[Path]:
    """The folders of trained models in a folder, by name."""
    found = sorted(path.parent for path in home.glob("*/model.keras"))
    return [folder for folder in found if (folder / "config.json").is_file()]
