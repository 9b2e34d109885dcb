"""The paper's figures."""

import numpy as np
from PIL import Image

from pcnn_keras.evaluation.figures import draw_figures


def test_figures_are_all_drawn(tmp_path, tiny):
    images = np.random.default_rng(0).integers(0, 2, (4, 4, 5, 1))
    shares = []
    written = draw_figures(tiny, images, tmp_path, seed=1, progress=shares.append)
    assert [path.name.split("_")[0] for path in written] == [f"figure{i}" for i in range(4, 10)]
    for path in written:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    assert shares[-1] == 1
