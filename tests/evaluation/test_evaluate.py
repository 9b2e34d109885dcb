import json
from zipfile import ZipFile

import keras
import numpy as np
import pytest
from conftest import TINY, enlarge, run_here, save_model
from scipy.stats import entropy

import pcnn_keras as pcnn
from pcnn_keras.data.masks import mask_specs
from pcnn_keras.data.sources import load_labels, load_model_images
from pcnn_keras.errors import InputError
from pcnn_keras.evaluation.classifier import build_classifier, classify, load_classifier, train_classifier
from pcnn_keras.evaluation.consistency import colour_correlation, consistency
from pcnn_keras.evaluation.evaluate import NEIGHBOURS, evaluate, likelihoods, table, unconditional
from pcnn_keras.evaluation.metrics import density_and_coverage, mean_hamming_distance, rank_correlation
from pcnn_keras.evaluation.visible import load_bound
from pcnn_keras.inference.inputs import inputs_of
from pcnn_keras.inference.likelihood import score, sum_over_hidden


@pytest.fixture(scope="module")
def digits():
    config = pcnn.Config.preset("digits")
    return config, load_model_images(config)


def test_labels_stand_in_the_order_of_the_images(digits):
    """Means of the classes of one split tell the classes of another: not so if any split were shuffled."""
    _, images = digits
    labels = load_labels("digits")
    assert [len(part) for part in labels] == [len(part) for part in images]
    means = np.stack([images.train[labels.train == c].mean(axis=0) for c in range(10)])
    for part, classes in ((images.validation, labels.validation), (images.test, labels.test)):
        guess = ((part[:, None] - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
        assert (guess == classes).mean() > 0.8
    assert load_labels("celeba") is None


@pytest.mark.full
def test_a_classifier_learns(digits):
    config, images = digits
    _, accuracy = train_classifier(config, images, load_labels("digits"))
    assert accuracy > 0.95


def test_a_classifier_loads_whatever_version_of_keras_wrote_it(tmp_path):
    config = TINY.replace(height=8, width=8)
    images = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
    written = build_classifier(config, 3)
    written.save(tmp_path / "now.keras")
    with ZipFile(tmp_path / "now.keras") as now, ZipFile(tmp_path / "later.keras", "w") as later:
        for name in now.namelist():
            later.writestr(name, now.read(name).replace(b'"units"', b'"of_a_later_version": true, "units"'))
    with pytest.raises(TypeError, match="of_a_later_version"):
        keras.saving.load_model(tmp_path / "later.keras")
    read = load_classifier(tmp_path / "later.keras", config)
    np.testing.assert_array_equal(read(images), written(images))
    with pytest.raises(InputError, match="later.keras cannot be read: its 12 weights are not the 12 of"):
        load_classifier(tmp_path / "later.keras", config.replace(height=16))


def test_a_classifier_sees_levels_as_shares_of_the_highest():
    samples = np.random.default_rng(0).integers(0, 5, (1, 6, 4, 5, 1))
    classifier = build_classifier(TINY.replace(num_levels=5), 3)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(classifier(samples[0].astype(np.float32) / 4)))
    found = classify(classifier, samples, 5)
    np.testing.assert_array_equal(found["likeliest_class"][0], expected.argmax(axis=1))
    np.testing.assert_allclose(found["class_probability"][0], expected.max(axis=1), rtol=1e-5)


def test_a_classifier_is_the_same_whatever_keras_has_for_the_order_of_axes():
    config = TINY.replace(channels=3, height=8)
    expected = [weight.shape for weight in build_classifier(config, 3).weights]
    keras.config.set_image_data_format("channels_first")
    try:
        assert [weight.shape for weight in build_classifier(config, 3).weights] == expected
    finally:
        keras.config.set_image_data_format("channels_last")


def test_likelihoods_of_the_parts(tiny):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (7, 4, 5, 1)), rng.integers(0, 2, (7, 4, 5, 1))
    inputs = inputs_of(images, masks, tiny.config)
    alone = inputs_of(images, 0 * masks, tiny.config)
    heads = {"sum": tiny(inputs)["logits"], "conditional_head": tiny(inputs)["conditional_logits"],
             "unconditional": tiny(alone)["logits"]}
    found = likelihoods(tiny, images, masks, batch_size=3)
    found["unconditional"] = sum_over_hidden(unconditional(tiny, images, batch_size=3), masks)
    assert set(found) == set(heads)
    for name, logits in heads.items():
        np.testing.assert_allclose(found[name], score(logits, images, masks), rtol=1e-4)


def test_the_table_has_large_figures_in_full():
    measures = {"nats": {"mean": 16281.7, "error": 162.1}, "share": {"mean": 0.012343, "error": np.nan}, "hidden": 0.5,
                "rank_histogram": [1]}
    rows = table({"real": {}, "masks": {"none": measures}}).splitlines()
    assert [row.split(maxsplit=1)[1] for row in rows[1:4]] == ["16280 ± 160", "0.01234 ± nan", "0.500"]


@pytest.mark.parametrize("with_classifier, channels", [(True, 1), (False, 1), (False, 3)])
def test_every_figure_is_there_with_its_error(with_classifier, channels):
    config = TINY.replace(height=8, width=8, channels=channels, num_levels=4 if with_classifier else 2)
    model = enlarge(pcnn.build_model(config), 2.0)
    rng = np.random.default_rng(0)
    images, reference = rng.integers(0, config.num_levels, (2, 12, 8, 8, channels)).astype(np.int32)
    classifier = build_classifier(config, 10) if with_classifier else None
    shares = []
    result = evaluate(model, images, reference, classifier, num_samples=4, num_drawn=5, progress=shares.append)
    assert list(result["masks"]) == list(mask_specs(config)) and shares[-1] == 1
    realism = {"confidence", "density", "coverage"}
    assert set(result["real"]) == (realism if with_classifier else set())
    for spec, measures in result["masks"].items():
        expected = {"hidden_share", "hamming_distance", "rank_of_truth", "rank_histogram", "log_weight_sd",
                    "effective_sample_size", "implied_nats_low", "implied_nats_high", "implied_excess_low",
                    "implied_excess_high"}
        expected |= {f"{head}_{unit}" for head in ("sum", "conditional_head", "unconditional")
                     for unit in ("nats_per_image", "nats_per_hidden_pixel", "bits_per_dimension")}
        if with_classifier:
            expected |= realism | {"classes", "class_entropy", "likelihood_confidence_correlation",
                                   "classifier_confidence_draws", "classifier_confidence_best_quarter",
                                   "classifier_confidence_importance"}
        if channels == 3:
            expected |= {"colour_correlation", "colour_correlation_real"}
        assert set(measures) == expected
        assert sum(measures["rank_histogram"]) == 5
        nats, bits = measures["sum_nats_per_hidden_pixel"], measures["sum_bits_per_dimension"]
        assert bits["mean"] == pytest.approx(nats["mean"] / np.log(2) / channels) and nats["error"] > 0
        assert measures["sum_nats_per_image"]["mean"] == pytest.approx(
            -pcnn.log_likelihood(model, images, mask_specs(config)[spec]).mean(), rel=1e-5)  # image i under mask i
        assert spec in table(result)
    again = evaluate(model, images, reference, classifier, num_samples=4, num_drawn=5)
    assert json.dumps(again) == json.dumps(result)

    measures = result["masks"]["bottom:2"]
    masks = np.stack([pcnn.parse_mask("bottom:2", 8, 8)(0)] * 12)
    assert measures["hidden_share"] == 0.75
    draws = pcnn.inpaint(model, images[:5], masks[:5], 4, seed=range(5))
    truth, joint = (pcnn.log_likelihood(model, images[:5], visible) for visible in ("bottom:2", "none"))
    consistent, weights = consistency(model, draws, truth, joint)
    below = (draws.log_likelihood < truth[:, None]).sum(axis=1)
    alone = pcnn.pixel_probabilities(model, images, "none")
    alone = np.take_along_axis(alone, images[..., None], axis=-1)[masks[..., 0] == 0]
    expected = {
        **{name: value["mean"] for name, value in consistent.items()}, "rank_of_truth": below.mean() / 4,
        "log_weight_sd": weights.std(axis=1, ddof=1).mean(), "unconditional_nats_per_image": -np.log(alone).sum() / 12,
        "hamming_distance": np.mean([mean_hamming_distance(x, masks[0, ..., 0] == 0) for x in draws.samples])}
    first = pcnn.inpaint(model, images, masks, 1, seed=range(12)).samples[:, 0]
    if with_classifier:
        looks = classify(classifier, draws.samples, config.num_levels)
        confidence, classes = looks["class_probability"], looks["likeliest_class"]
        share = np.exp(weights) / np.exp(weights).sum(axis=1, keepdims=True)
        features = keras.Model(classifier.inputs[0], classifier.get_layer("features").output)
        density, covered = density_and_coverage(
            *(features(x.astype(np.float32) / 3).numpy() for x in (reference, first)), NEIGHBOURS)
        firsts, real = (classify(classifier, x[:, None], 4)["class_probability"].mean() for x in (first, images))
        assert result["real"]["confidence"]["mean"] == pytest.approx(real, rel=1e-4)
        expected |= {
            "density": density.mean(), "coverage": covered.mean(),
            "classes": np.mean([len(set(row)) for row in classes]), "confidence": firsts,
            "class_entropy": np.mean([entropy(np.unique(row, return_counts=True)[1]) for row in classes]),
            "classifier_confidence_draws": confidence.mean(),
            "classifier_confidence_importance": (share * confidence).sum(axis=1).mean(),
            "classifier_confidence_best_quarter": confidence[range(5), draws.log_likelihood.argmax(axis=1)].mean(),
            "likelihood_confidence_correlation": np.nanmean(
                [rank_correlation(*pair) for pair in zip(draws.log_likelihood, confidence)])}
    if channels == 3:
        expected["colour_correlation"] = colour_correlation(first, masks)["mean"]
        expected["colour_correlation_real"] = colour_correlation(images, masks)["mean"]
    found = {name: measures[name]["mean"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert measures["rank_histogram"] == np.bincount((2 * below + 1) * 4 // 5, minlength=8).tolist()


def test_the_six_masks():
    assert list(mask_specs(pcnn.Config.preset("mnist")).items()) == [
        ("blobs", "blobs:4,2,7"), *((spec, spec) for spec in ("bottom:7", "top:14", "left:14", "random:0.15", "none"))]


def test_what_the_model_drew_itself_has_any_rank_among_its_draws(tiny, monkeypatch):
    """It is calibrated by definition: every rank is as likely as any other, equal completions counted half."""
    monkeypatch.setattr("pcnn_keras.evaluation.evaluate.mask_specs", lambda config: {"none": "none"})
    nothing = np.zeros((150, 4, 5, 1), int)
    images = pcnn.inpaint(tiny, nothing, nothing, 1, seed=1000 + np.arange(150)).samples[:, 0]
    rank = evaluate(tiny, images, images, num_samples=20, num_drawn=150)["masks"]["none"]["rank_of_truth"]
    assert rank["mean"] == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 150))
    assert rank["error"] == pytest.approx(np.sqrt(1 / 12 / 150), rel=0.2)


def test_the_program_evaluates_the_first_of_the_test_split(tmp_path, digits):
    config, images = digits
    small = config.replace(filters=6, prior_depth=0, conditioning_depth=0)
    model = save_model(enlarge(pcnn.build_model(small)), tmp_path)
    done = run_here("pcnn_keras/evaluate.py", "--model", tmp_path, "--limit", 10, "--drawn", 2, "--num-samples", 3,
                    "--json", tmp_path / "f.json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    result = json.loads((tmp_path / "f.json").read_text())
    assert [result[name] for name in ("dataset", "images", "images_drawn", "samples")] == ["digits", 10, 2, 3]
    assert "no realism" in done.stdout and done.stdout.endswith(table(result) + "\n")
    masks = np.zeros((10, 8, 8, 1), int)
    nats = -pcnn.log_likelihood(model, images.test[:10], masks)
    assert result["masks"]["none"]["sum_nats_per_image"]["mean"] == pytest.approx(nats.mean(), rel=1e-5)
    assert [sum(measures["rank_histogram"]) for measures in result["masks"].values()] == [2] * 6
    assert load_bound(tmp_path) == np.inf
    assert run_here("pcnn_keras/evaluate.py", "--model", tmp_path, "--bound").returncode == 0
    assert np.isfinite(load_bound(tmp_path))
