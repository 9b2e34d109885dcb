"""People's own pictures: are photos of digits prepared well, and is what a model does not know told from what it knows?

`python experiments/pictures.py [IMAGES]` (default: 100) with the MNIST model that ships and MNIST's test images. First,
nats per image of digits as they are and of photos of them: larger, at a random place on a page of 600 x 600 pixels that
is brighter on one side, in dark ink or in chalk, with noise. Then, how often `sample.py` warns, by mask.
"""

import numpy as np
from common import MNIST, Program, machine
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.data.prepare import centre_picture

SIDE = 600


def photo(digit, scale, noise, rng, paper=200, ink=30):
    """Of a digit, uint8 `(28, 28, 1)`: uint8 `(SIDE, SIDE, 1)`."""
    large = Image.fromarray(digit[..., 0]).resize((28 * scale, 28 * scale), Image.Resampling.BICUBIC)
    top, left = rng.integers(0, SIDE - 28 * scale, 2)
    covered = np.zeros((SIDE, SIDE))
    covered[top : top + 28 * scale, left : left + 28 * scale] = np.asarray(large) / 255
    y, x = np.indices((SIDE, SIDE)) / SIDE
    page = (paper + 40 * x - 60 * y) * (1 - covered) + ink * covered + noise * rng.normal(size=(SIDE, SIDE))
    return page.clip(0, 255).astype(np.uint8)[..., None]


def strange(images, rng):
    """Levels `(n, 28, 28, 1)` made into what the model does not know, by name."""
    half, double = np.zeros_like(images), images[:, 7:21, 7:21].repeat(2, 1).repeat(2, 2)
    half[:, 7:21, 7:21] = images[:, ::2, ::2]
    return {"as they are": images, "black on white": 1 - images, "noise": rng.integers(0, 2, images.shape),
            "5 % of the pixels wrong": np.where(rng.random(images.shape) < 0.05, 1 - images, images),
            "6 pixels off centre": np.roll(images, (6, -6), (1, 2)), "twice as large": double, "half as large": half}


def main():
    parser = Program(__doc__)
    parser.add_argument("images", type=int, nargs="?", default=100)
    flags = parser.parse_args()

    from pcnn_keras.evaluation.visible import load_bound, surprise

    model, bound, rng = pcnn.load(MNIST), load_bound(MNIST), np.random.default_rng(0)
    print(machine())
    digits = pcnn.load_images("mnist").test[: flags.images]
    count = len(digits)
    prepared = {f"photo, {name}": [pcnn.prepare_digit(photo(digit, rng=rng, **how)).image() for digit in digits]
                for name, how in {"5 times as large, noise 6": {"scale": 5, "noise": 6},
                                  "9 times, noise 6": {"scale": 9, "noise": 6},
                                  "15 times, noise 15": {"scale": 15, "noise": 15},
                                  "9 times, chalk": {"scale": 9, "noise": 6, "paper": 80, "ink": 230}}.items()}
    cropped = [centre_picture(photo(digit, 9, 6, rng), 28, 28).image() for digit in digits]
    for name, images in {"as they are": digits, **prepared, "photo, 9 times, --prepare none": cropped}.items():
        levels = pcnn.to_levels(np.stack(images), model)
        nats = [-pcnn.log_likelihood(model, levels, mask) for mask in ("none", "bottom:7")]
        cells = [f"{each.mean():9.1f} ± {each.std(ddof=1) / count**0.5:.1f}" for each in nats]
        print(f"{name:36}{''.join(cells)}", flush=True)
    print(f"bound: {bound:.1f}")
    images = pcnn.to_levels(digits, model).astype(np.int32)
    for name, levels in strange(images, rng).items():
        warned = []
        for spec in ("bottom:7", "top:14", "left:14", "random:0.15", "center:10"):
            masks = np.stack([pcnn.parse_mask(spec, 28, 28)(i) for i in range(count)])
            completed = pcnn.inpaint(model, levels, masks, 1, seed=np.arange(count)).samples[:, 0]
            warned.append(f"{(surprise(model, completed, masks) > bound).mean():9.0%}")
        print(f"{name:36}{''.join(warned)}", flush=True)


if __name__ == "__main__":
    main()
