"""Opens a page for inpainting by hand in a browser."""

import importlib
import importlib.metadata
import os
import socket
import tempfile

from packaging.requirements import Requirement

from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.config import Config
from pcnn_keras.errors import InputError, reason
from pcnn_keras.models import HOME, models_in, shipped_models
from pcnn_keras.quiet import import_tensorflow

GRADIO = Requirement("gradio>=6.31,<7")


def find_models(folder=None, home=HOME):
    """Folders of trained models: the one given (or mnist) first, then the others in `home`, and those that ship.

    Raises:
        InputError: if the one given is not one.
    """
    own = {path.name: path for path in models_in(home)}
    found = [*{**own, **shipped_models(), **own}.values()]
    first = folder or next((each for each in found if each.name == "mnist"), found[0])
    Config.of_model(first)
    return [first, *(path for path in found if path.resolve() != first.resolve())]


def check_host(host):
    """An `InputError` unless this machine can listen at an address: Gradio would blame the port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host!r} is no address that this machine can listen at: {reason(error)}.") from error


def main():
    parser = Parser(__doc__)
    parser.add_argument("--model", metavar="MODEL", help="folder or name of the model to begin with "
                        "(default: saved_models/mnist, or the first there is)")
    parser.add_argument("--port", type=number(int, 1, 65535), metavar="N", help="default: the first free from 7860")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument("--share", action="store_true", help="a public address, through Gradio's own servers")
    flags = parser.parse_args()
    check_host(flags.host)
    folders = find_models(flags.model)
    if not _gradio_is_there():
        raise InputError(f"The page needs Gradio: pip install '{GRADIO}'")

    with tempfile.TemporaryDirectory(prefix="pcnn-demo-") as folder:
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        print(f"Opening {folders[0]} …", flush=True)
        import_tensorflow()
        _import_gradio()
        from pcnn_keras.demo.page import serve

        serve(folders, flags.host, flags.port, flags.share)


def _gradio_is_there():
    try:
        return importlib.metadata.version(GRADIO.name) in GRADIO.specifier
    except importlib.metadata.PackageNotFoundError:
        return False


def _import_gradio():
    try:
        importlib.import_module("gradio")
    except ValueError as error:
        named = ", ".join(sorted(name for name in os.environ if name.startswith("GRADIO_")))
        raise InputError(f"Gradio cannot be used with a variable as it is, one of {named}: {error}.") from error
