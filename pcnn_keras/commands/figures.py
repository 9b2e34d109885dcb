"""The paper's figures 4 to 9, redrawn with a trained model."""

from pathlib import Path

import numpy as np

from pcnn_keras.commands.datasets import model_images
from pcnn_keras.commands.flags import Parser, number
from pcnn_keras.commands.progress import Progress
from pcnn_keras.config import Config
from pcnn_keras.files import replacing_all
from pcnn_keras.quiet import import_tensorflow


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_images()
    parser.add_argument("--seed", type=number(int, 0, 2**31), default=0, metavar="N",
                        help="chooses the images, the masks and the draws")
    parser.add_argument("--output", type=Path, default=Path("figures"), help="folder for the pictures")
    return parser.parse_args()


def main():
    flags = parse()
    config = Config.of_model(flags.model)
    import_tensorflow()

    from pcnn_keras.evaluation.figures import draw_figures
    from pcnn_keras.network.model import load

    levels = model_images(config, flags).test
    model = load(flags.model)
    chosen = np.random.default_rng(flags.seed).permutation(len(levels))[:6]
    with replacing_all(flags.output) as aside, Progress("Drawing figures") as progress:
        written = draw_figures(model, levels[chosen].astype(np.int32), aside, flags.seed, progress)
    print("\n".join(f"Wrote {flags.output / path.name}" for path in written))
