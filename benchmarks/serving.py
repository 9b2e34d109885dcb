"""The `inpaint` signature of an exported model, and calling Python, in turn: latency and throughput.

`python benchmarks/serving.py [MODEL]`: a trained model (default: saved_models/mnist). It is exported
to a temporary folder and run in a session, as TF Serving runs it; what HTTP and JSON add is not
counted. The top 75 % of one of the model's own draws is hidden. Prints the table of docs/speed.md.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from common import MNIST, Program, in_turn, machine, occluded_draw

import pcnn_keras as pcnn


def served(folder):
    """`inpaint` of the SavedModel in a session: a function of image, mask and number; options are `session.run`'s."""
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    inputs, outputs = meta.signature_def["inpaint"].inputs, meta.signature_def["inpaint"].outputs

    def ask(image, mask, count, **options):
        values = {"image": image[None], "mask": mask[None], "num_samples": count, "temperature": 1.0, "seed": 0}
        return session.run({name: info.name for name, info in outputs.items()},
                           {inputs[name].name: value for name, value in values.items()}, **options)

    return ask


def at_once(clients, function):
    """Calls a function from as many threads, and waits for all."""
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: function(), range(clients)))


def row(count, clients, signature, python):
    """Times the two in turn, each with as many clients at once, and prints a line of the table."""
    seconds = in_turn({1: 15, 16: 7, 64: 5}[count], signature=lambda: at_once(clients, lambda: signature(count)),
                      python=lambda: at_once(clients, lambda: python(count)))
    cells = [cell for s in seconds.values() for cell in (f"{s:.3f}", f"{clients * count / s:.0f}")]
    print(f"| {count} | {clients} | {' | '.join(cells)} | {seconds['signature'] / seconds['python']:.2f} |", flush=True)


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=MNIST)
    flags = parser.parse_args()

    from pcnn_keras.export.signatures import export

    model = pcnn.load(flags.model)
    image, mask = occluded_draw(model)
    with tempfile.TemporaryDirectory() as folder:
        ask = served(export(model, folder))
        served_draws = ask(image, mask, 16)
        in_order = np.argsort(served_draws["draw"][0])  # equal likelihoods may change ranks by rounding
        np.testing.assert_array_equal(np.asarray(served_draws["samples"])[0][in_order],
                                      pcnn.inpaint(model, image, mask, 16).samples)
        print(machine())
        print("| completions | clients | signature, s | completions a second | Python, s | completions a second | "
              "signature / Python |\n| " + " | ".join(["---"] * 7) + " |")
        for count in (1, 16, 64):
            for clients in (1, 4):
                row(count, clients, lambda count: ask(image, mask, count),
                    lambda count: pcnn.inpaint(model, image, mask, count))


if __name__ == "__main__":
    main()
