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

from common import machine

from pcnn_keras.commands import sample
from pcnn_keras.config import Config
from pcnn_keras.data.images import png
from pcnn_keras.data.pixels import to_bytes
from pcnn_keras.data.sources import load_model_images
from pcnn_keras.inference import sampling

MODEL = sys.argv[1] if len(sys.argv) > 1 else "saved_models/mnist"
IMAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 1000


def main():
    config, seconds, inpaint = Config.of_model(Path(MODEL)), [], sampling.inpaint

    def timed(*given, **named):
        start = time.perf_counter()
        result = inpaint(*given, **named)
        seconds.append(time.perf_counter() - start)
        return result

    sampling.inpaint = timed
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder, "images")
        images.mkdir()
        for i, levels in enumerate(load_model_images(config).test[:IMAGES]):
            (images / f"{i:05}.png").write_bytes(png(to_bytes(levels, config.num_levels)))
        sys.argv = ["sample.py", "--model", MODEL, "--image", str(images), "--num-samples", "4",
                    "--output", str(Path(folder, "samples"))]
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            sample.main()
        total = time.perf_counter() - start
        print(machine())
        print(f"{IMAGES} images, 4 completions of each: {total:.0f} s, {IMAGES / total:.1f} images a second; "
              f"the sampler {sum(seconds):.0f} s of it, {sum(seconds) / total:.0%}")


if __name__ == "__main__":
    main()
