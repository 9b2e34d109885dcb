"""Completions: time against batch, hidden share and image side, in full forward passes.

`python benchmarks/sampling.py [MODEL]`: a trained model (default: saved_models/mnist). The image is
one of the model's own draws. A pass is one teacher-forced evaluation of as many images as there are
completions, in the same run. Larger sides: the same prior on the image doubled, and doubled again; and
the models of faces that ship, of 32 x 32, and of 64 x 64 in slices of 32 x 32.
"""

import time
from math import log

import numpy as np
from common import MNIST, Program, in_turn, machine, occluded_draw, top_hidden, whole_pass

import pcnn_keras as pcnn


def row(name, model, image, mask, count, runs=5):
    """Times `count` completions beside one pass over as many images, in turn."""
    seconds = in_turn(runs, fast=lambda: pcnn.inpaint(model, image, mask, count),
                      a_pass=whole_pass(model, image, mask, count))
    print(f"{name:34}{seconds['fast']:9.3f} s {seconds['a_pass']:9.3f} s {seconds['fast'] / seconds['a_pass']:8.2f}",
          flush=True)
    return seconds["fast"]


def enlarged(model, factor):
    """The same prior for images `factor` times as high and wide; a U-Net, which has more scales there, is fresh."""
    config = model.config
    larger = pcnn.build_model(config.replace(height=config.height * factor, width=config.width * factor))
    larger.prior.set_weights(model.prior.get_weights())
    return larger


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=MNIST)
    flags = parser.parse_args()

    model = pcnn.load(flags.model)
    config = model.config
    image, mask = occluded_draw(model)
    print(machine())
    print(f"{'':34}{'completions':>11} {'a pass':>11} {'passes':>8}")
    seconds = {count: row(f"{count} completions, top 75 % hidden", model, image, mask, count,
                          runs={1: 20, 256: 3}.get(count, 7)) for count in (1, 4, 16, 64, 256)}
    for share in (0.25, 0.5, 1):
        row(f"64 completions, top {share:.0%} hidden", model, image, top_hidden(config, share), 64)
    for factor in (2, 4):
        larger = enlarged(model, factor)
        picture = image.repeat(factor, 0).repeat(factor, 1)
        row(f"16 completions, {larger.config.height} x {larger.config.width}", larger, picture,
            top_hidden(larger.config, 0.75), 16, runs=2)
    of_faces = []
    for name in ("celeba", "faces64"):
        faces = pcnn.load(MNIST.with_name(name))
        of_faces.append(row(f"16 completions, {name}", faces, *occluded_draw(faces), 16, runs=3))
    print(f"from 32 to 64 seconds grow with the side to the power of {log(of_faces[1] / of_faces[0], 2):.2f}")
    pcnn.inpaint(model, image, np.eye(config.height, config.width, dtype=int)[..., None] ^ 1, 16, sampler="raster")
    start = time.perf_counter()
    slow = pcnn.inpaint(model, image, mask, 16, sampler="raster")
    taken = time.perf_counter() - start
    np.testing.assert_array_equal(slow.samples, pcnn.inpaint(model, image, mask, 16).samples)
    print(f"16 completions, a pass of the prior a pixel: {taken:.0f} s, {taken / seconds[16]:.0f} times the fast ones, "
          "and the same pixels")


if __name__ == "__main__":
    main()
