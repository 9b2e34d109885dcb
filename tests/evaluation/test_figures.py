"""The paper's figures."""

import numpy as np
from PIL import Image

from pcnn_keras.evaluation import figures
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


def test_grids_go_from_the_likeliest_down(tiny, tmp_path, monkeypatch):
    grids = {}
    monkeypatch.setattr(figures, "completion_grid", lambda path, images, masks, samples, nats, *_, titles:
                        grids.update({path.name: (nats, titles)}))
    draw_figures(tiny, np.random.default_rng(0).integers(0, 2, (4, 4, 5, 1)), tmp_path)
    assert len(grids) == 4 and all((np.diff(nats) <= 0).all() for nats, _ in grids.values())
    assert grids["figure9_least_likely.png"][1] == ["1 of 64", *(f"{k} of 64" for k in range(56, 65))]
