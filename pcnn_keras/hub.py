"""Models in repositories of the Hugging Face Hub, by the package `huggingface_hub`, which nothing else here needs."""

import importlib
import re
from pathlib import Path

from pcnn_keras.errors import InputError, reason
from pcnn_keras.files import CLASSIFIER
from pcnn_keras.quiet import bars_on_terminals

SIGN = "hf://"

CARD = "README.md"

FILES = ("model.keras", "config.json", "history.csv", "visible.json", CLASSIFIER, CARD, "evaluation.json",
         "examples/*.png")
"""What goes up, and all that is taken of what others may have put there: no code, and nothing that is unpickled."""


def download(address: str) -> Path:
    """Fetches a model into the Hub's own cache, unless it is there.

    Args:
        address: "hf://USER/REPO", or "hf://USER/REPO@REVISION": a branch, a tag or a commit.

    Returns:
        The folder with those of `FILES` that there are.

    Raises:
        InputError: if it is no such address, if there is nothing of that name or no network, or if `huggingface_hub`
            is not installed.
    """
    repository, _, revision = address.removeprefix(SIGN).partition("@")
    _check(repository)
    fetch = _library().snapshot_download
    try:
        with bars_on_terminals():
            return Path(fetch(repository, revision=revision or None, allow_patterns=list(FILES)))
    except Exception as error:  # its own, those of HTTP and of the disk
        raise InputError(f"{address} cannot be loaded: {reason(error)}") from error


def upload(folder: Path, repository: str, card: str = "", private: bool = False) -> str:
    """Puts a model's folder, as much of it as is in `FILES`, into a repository, which is made if it is not there.

    Args:
        card: what goes there as `CARD`, if there is none; "": nothing.
        private: whether a repository that is made is seen by its owner alone.

    Returns:
        The repository's address for a browser.

    Raises:
        InputError: if the Hub does not take it, or if `huggingface_hub` is not installed.
    """
    _check(repository)
    hub = _library().HfApi()
    try:
        address = hub.create_repo(repository, exist_ok=True, private=private)
        hub.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=list(FILES))
        if card and not hub.file_exists(repository, CARD):
            hub.upload_file(path_or_fileobj=card.encode(), path_in_repo=CARD, repo_id=repository)
    except Exception as error:
        raise InputError(f"{repository} cannot be written (log in with: hf auth login): {reason(error)}") from error
    return str(address)


def _check(repository):
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise InputError(f"Expected a repository as USER/REPO. Received: {repository!r}.")


def _library():
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise InputError("Models on the Hugging Face Hub need: pip install huggingface_hub") from error
