"""Many pictures: images a second of `sample.py --image FOLDER`, and what of the time its sampler takes.

`python benchmarks/pictures.py [MODEL] [IMAGES]` (default: saved_models/mnist, 1000): as many PNG files of the model's
test images, the bottom quarter visible, 4 completions of each. Reading, the warning's pass, all files are counted;
importing TensorFlow is not.
"""

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

from common import MNIST, Program, machine


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=MNIST)
    parser.add_argument("images", type=int, nargs="?", default=1000)
    flags = parser.parse_args()

    from pcnn_keras.commands import sample
    from pcnn_keras.config import Config
    from pcnn_keras.data.images import png
    from pcnn_keras.data.pixels import to_bytes
    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.inference import sampling
    from pcnn_keras.models import find_model

    config, seconds, inpaint = Config.of_model(find_model(flags.model)), [], sampling.inpaint

    def timed(*given, **named):
        start = time.perf_counter()
        result = inpaint(*given, **named)
        seconds.append(time.perf_counter() - start)
        return result

    sampling.inpaint = timed
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images")
        images.mkdir()
        test = load_model_images(config).test[: flags.images]
        for i, levels in enumerate(test):
            (images / f"{i:05}.png").write_bytes(png(to_bytes(levels, config.num_levels)))
        sys.argv = ["sample.py", "--model", str(flags.model), "--image", str(images), "--num-samples", "4",
                    "--output", str(Path(folder, "samples"))]
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            sample.main()
        total = time.perf_counter() - start
        print(machine())
        print(f"{len(test)} images, 4 completions of each: {total:.0f} s, {len(test) / total:.1f} images a second; "
              f"the sampler {sum(seconds):.0f} s of it, {sum(seconds) / total:.0%}")


if __name__ == "__main__":
    main()
