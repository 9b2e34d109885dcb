"""A training step and a forward pass of the paper's MNIST model, against uncropped kernels.

`python benchmarks/step_time.py [RUNS]` prints medians of seconds, ratios, and how far from the arithmetic it is.
"""

import time

from common import Program, in_turn, machine, random_batch

import pcnn_keras as pcnn


def multiplications(model):
    """Multiply-adds a pixel in a forward pass: each weight of a kernel meets each pixel once."""
    return sum(int(w.shape.num_elements()) for w in map(lambda v: v.value, model.weights) if len(w.shape) == 4)


def matmul_rate(size=2048):
    """Multiply-adds a second in one large matrix product: what the machine can do."""
    import tensorflow as tf

    a = tf.random.normal((size, size))
    tf.matmul(a, a)
    start = time.perf_counter()
    for _ in range(5):
        tf.matmul(a, a).numpy()
    return 5 * size**3 / (time.perf_counter() - start)


def main():
    parser = Program(__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=5)
    runs = parser.parse_args().runs

    import tensorflow as tf

    from pcnn_keras.network import masked
    from pcnn_keras.training.compile import compile_model

    config = pcnn.Config.preset("paper-mnist")
    batch = random_batch(config)

    def prepare():
        model = pcnn.build_model(config)
        compile_model(model, 1000)
        return model, tf.function(model)

    model, forward = prepare()
    tight = masked.bounding_box
    masked.bounding_box = lambda mask: (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    full, full_forward = prepare()
    masked.bounding_box = tight

    seconds = in_turn(
        runs, step=lambda: model.train_on_batch(*batch), full_step=lambda: full.train_on_batch(*batch),
        forward=lambda: forward(batch[0])["logits"].numpy(),
        full_forward=lambda: full_forward(batch[0])["logits"].numpy())
    work = multiplications(model) * config.batch_size * 28 * 28
    rate = matmul_rate()
    print(machine())
    print(f"{'':24}cropped   uncropped   ratio   multiply-adds")
    for name, passes in (("step", 3), ("forward", 1)):
        a, b = seconds[name], seconds["full_" + name]
        print(f"{name:20}{a:9.2f} s {b:9.2f} s {b / a:7.2f}   {passes * work / 1e9:.0f} G, "
              f"{passes * work / rate / a:.0%} of a large matrix product's rate ({rate / 1e9:.0f} G/s)")


if __name__ == "__main__":
    main()
