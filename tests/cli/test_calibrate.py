"""`cutline calibrate`: from a trained model to one that says how sure it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cutline as package
from cutline.captioner import Captioner, load
from cutline.config import read_recipe
from cutline.data.examples import Photograph
from cutline.data.readers import open_dataset
from cutline.errors import DataError
from cutline.evaluation.calibration import (
    calibrate,
    expected_calibration_error,
    fit_logistic,
    people_quartile,
    pooled_features,
)
from cutline.network import Model
from cutline.training import train
from support.terminal import cutline
from support.tiny import no_graphs, write_recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    words = ["training.epochs=9", "data.scenes.train=160", "data.scenes.val=60"]
    words += ["decoder.hidden=64", "decoder.embedding=32", "training.learning_rate=0.01"]
    words += ["data.captions_per_image=2", "training.validate_images=4"]
    with no_graphs():  # after each epoch
        train(read_recipe(write_recipe(folder), words), folder / "out", say=lambda _: None)
        last = Model.read(folder / "out" / "last")
    last.save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def scenes():
    return open_dataset("scenes", train=160, val=60, test=1)


@pytest.fixture(scope="module")
def calibrated(model, scenes):
    return calibrate(load(model), scenes.split("train"), scenes.split("val"))


@pytest.fixture(scope="module")
def sure(model, calibrated) -> Captioner:
    """The model that knows how sure to be."""
    taught = Model.read(model).calibrated(calibrated.sureness, calibrated.scores)
    return taught.captioner()


def test_most_photographs_are_familiar_and_a_blank_page_is_not(sure, scenes):
    captioner = sure
    own = captioner.caption([example.picture.open() for example in scenes.split("val")])
    assert np.mean([caption.unsure for caption in own]) <= 0.05
    blank = [Image.new("RGB", (64, 64), colour) for colour in ("black", "white", "red")]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    strange = captioner.caption([*blank, Image.fromarray(noise)])
    assert all(caption.unsure for caption in strange)
    assert all(caption.hedged.startswith("perhaps: ") for caption in strange)


def test_confidence_is_the_share_that_is_right(calibrated):
    assert calibrated.confidence.mean() == pytest.approx(calibrated.right.mean(), abs=0.05)
    assert np.ptp(calibrated.confidence) > 0


def test_it_is_saved_and_read_again(model, sure, calibrated, scenes, tmp_path):
    Model.read(model).calibrated(calibrated.sureness, calibrated.scores).save(tmp_path / "sure")
    again = package.load(tmp_path / "sure")
    pictures = [example.picture.open() for example in scenes.split("val")[:5]]
    for one, other in zip(sure.caption(pictures), again.caption(pictures), strict=True):
        assert one.confidence == pytest.approx(other.confidence, rel=1e-4)
        assert one.unsure == other.unsure


@pytest.fixture(scope="module")
def data(scenes, tmp_path_factory):
    """The same scenes as files, as Karpathy's splits have them."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    rows = []
    for example in [*scenes.split("train")[:20], *scenes.split("val")]:
        name = f"{example.image_id}.png".replace("/", "-")
        example.picture.open().save(folder / "images" / name)
        sentences = [{"raw": caption} for caption in example.captions]
        rows.append({"filename": name, "split": example.split, "sentences": sentences})
    (folder / "dataset_scenes.json").write_text(json.dumps({"images": rows}))
    return folder


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_a_smaller_model_is_judged_as_it_will_be_read(model, data, tmp_path, storage):
    out = tmp_path / "small"
    words = ["calibrate", model, out, "--data", data, "--storage", storage]
    done = cutline(*words)
    assert done.returncode == 0, done.stderr
    assert "Expected calibration error" in done.stdout + done.stderr
    assert "`confidence` is the probability that a caption is right" in (
        (out / "README.md").read_text()
    )
    small, large = ((f / "model.safetensors").stat().st_size for f in (out, model))
    assert small < {"float16": 0.75, "int8": 0.6}[storage] * large
    photo = next((data / "images").iterdir())
    row = json.loads(cutline("caption", photo, "--model", out, "--format", "json").stdout)
    assert 0 < row["confidence"] < 1
    assert row["unsure"] in (True, False)
    again = load(out)
    assert again.config.storage == storage
    examples = open_dataset(data).split("val")
    assert calibrate(again, examples, examples).scores == again.config.scores
    assert "exists and is not overwritten" in cutline(*words).stderr


def test_it_may_look_otherwise_than_in_training(model, data, tmp_path):
    out = tmp_path / "looking"
    with no_graphs():
        done = cutline("calibrate", model, out, "--data", data, "--size", "48", "--mirror")
        assert done.returncode == 0, done.stderr
        encoder = load(out).config.encoder
    assert (encoder.size, encoder.mirror) == (48, True)


def test_a_picture_that_cannot_be_read_is_left_out_and_named(model, scenes, tmp_path):
    captioner, few = load(model), scenes.split("val")[:3]
    gone = replace(few[1], picture=Photograph(tmp_path / "gone.png"))
    failed: list[str] = []
    steps: list[int] = []
    found = pooled_features(captioner, [few[0], gone, few[2]], steps.append, failed=failed)
    whole = pooled_features(captioner, [few[0], few[2]], steps.append, failed=failed)
    assert found == pytest.approx(whole)
    assert len(steps) == 5
    assert len(failed) == 1
    assert "gone.png" in failed[0]


def test_too_few_images_are_refused_in_a_sentence(model, scenes):
    few = scenes.split("val")[:10]
    with pytest.raises(DataError, match="at least 50"):
        calibrate(load(model), few, few)


# --- what it computes


def test_the_logistic_function_is_found_again():
    dice = np.random.default_rng(0)
    evidence = dice.normal(-1, 0.7, 20_000)
    right = dice.random(20_000) < 1 / (1 + np.exp(-(2.5 * evidence + 1)))
    slope, intercept = fit_logistic(evidence, right)
    assert (slope, intercept) == (pytest.approx(2.5, abs=0.15), pytest.approx(1, abs=0.15))


def test_evidence_that_says_nothing_leaves_the_share_of_right():
    right = np.arange(1000) % 4 == 0
    slope, intercept = fit_logistic(np.zeros(1000), right)
    assert 1 / (1 + np.exp(-intercept)) == pytest.approx(0.25, abs=0.01)
    assert slope > 0


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    confidence = np.array([0.05, 0.05, 0.95, 0.95])
    assert expected_calibration_error(confidence, np.array([0, 0, 1, 1], bool)) == pytest.approx(
        0.05
    )
    assert expected_calibration_error(confidence, np.array([1, 1, 0, 0], bool)) == pytest.approx(
        0.95
    )
    assert expected_calibration_error(confidence, np.array([0, 1, 1, 0], bool)) == pytest.approx(
        0.45
    )
    assert expected_calibration_error(np.ones(2), np.array([1, 1], bool)) == pytest.approx(0)


def test_three_in_four_of_peoples_captions_are_right():
    alike = {str(k): (f"thing {k}",) * 5 for k in range(8)}
    most = people_quartile(alike)
    assert most == pytest.approx(5)  # of 10: two words have no three in a row
    one_strange = {image: (*texts[:4], "a cat") for image, texts in alike.items()}
    assert 0 < people_quartile(one_strange) < most
    two_strange = {image: (*texts[:3], "a cat", "no dog") for image, texts in alike.items()}
    assert people_quartile(two_strange) < people_quartile(one_strange)
    assert people_quartile({**alike, "alone": ("one caption",)}) > 0
