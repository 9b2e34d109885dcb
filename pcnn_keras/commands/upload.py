"""Puts a trained model into a repository of the Hugging Face Hub, from which `pcnn.load("hf://USER/REPO")` takes it."""

from pcnn_keras import hub
from pcnn_keras.commands.flags import Parser
from pcnn_keras.config import Config
from pcnn_keras.errors import InputError


def main():
    parser = Parser(__doc__)
    parser.add_argument("model", metavar="MODEL", help="folder of a trained model")
    parser.add_argument("repository", metavar="USER/REPO", help="where to; it is made if it is not there")
    flags = parser.parse_args()
    Config.of_model(flags.model)
    if not (flags.model / "model.keras").is_file():
        raise InputError(f"{flags.model} holds no model.keras.")
    address = hub.upload(flags.model, flags.repository)
    print(f"Wrote {address}. To load it: pcnn.load(\"{hub.SIGN}{flags.repository}\")")
