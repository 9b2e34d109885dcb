"""Completions of several models side by side: the same test images, masks and seeds.

    python experiments/side_by_side.py OLD NEW --index 0 1 2 --mask bottom:7 left:14 --output FILE.png
"""

from pathlib import Path

import numpy as np
from common import Program

import pcnn_keras as pcnn


def main():
    parser = Program(__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="folders of models of the same data set and size")
    parser.add_argument("--index", type=int, nargs="+", default=[0], help="of the test images")
    parser.add_argument("--mask", nargs="+", default=["bottom:7"])
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--data-dir")
    parser.add_argument("--output", type=Path, required=True)
    flags = parser.parse_args()

    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.plots import MOST_ROWS, completion_grid

    count = len(flags.models) * len(flags.index) * len(flags.mask)
    if count > MOST_ROWS:
        parser.error(f"{count} rows: the picture has {MOST_ROWS} at most")

    models = {folder: pcnn.load(folder) for folder in flags.models}
    config = models[flags.models[0]].config
    images = load_model_images(config, data_dir=flags.data_dir).test.astype(np.int32)
    rows = []
    for i in flags.index:
        for spec in flags.mask:
            mask = pcnn.parse_mask(spec, config.height, config.width)(i)
            for folder, model in models.items():
                drawn = pcnn.inpaint(model, images[i], mask, flags.num_samples, seed=i).ranked()
                rows.append((images[i], mask, drawn.samples, drawn.log_likelihood, f"{folder.name}: {spec}"))
    *columns, labels = zip(*rows)
    completion_grid(flags.output, *columns, config.num_levels, labels=labels)
    print(f"Wrote {flags.output}.")


if __name__ == "__main__":
    main()
