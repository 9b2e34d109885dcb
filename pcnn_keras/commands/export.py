"""Writes a trained model as a SavedModel for TF Serving."""

from pathlib import Path

from pcnn_keras.commands.flags import Parser
from pcnn_keras.config import Config
from pcnn_keras.quiet import import_tensorflow


def main():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="receives 1/, or the next free number (default: serving/ inside the model's folder, or "
                             "serving/NAME/ here if a name stands for the model)")
    flags = parser.parse_args()
    Config.of_model(flags.model)
    import_tensorflow()

    from pcnn_keras.export.signatures import export
    from pcnn_keras.network.model import load

    default = Path("serving", flags.named) if flags.named else flags.model / "serving"
    print(f"Wrote {export(load(flags.model), flags.output or default)}.")
