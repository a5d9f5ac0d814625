"""A captioner of each kind goes to disk and comes back, captions, and explains itself."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

import cutline
from cutline.captioner import Captioner
from cutline.config import DecoderConfig
from cutline.data.scenes import ScenePicture
from cutline.explain import explain
from cutline.network import Model
from support import models, terminal

VARIANTS = {
    **{name: {} for name in ("rnn", "nic", "dot", "soft", "hard", "spatial", "adaptive")},
    "rnn by hand": {"backward": "manual"},
    "nic from scratch": {"cell": "scratch", "layers": 2},
    "soft behind a head": {"head": 6},
    "hard by expectation": {"inference": "expectation", "expectation": 0.25, "samples": 3},
    "adaptive from scratch": {"cell": "scratch", "attention": 5},
}


QUICK = {"adaptive", "nic"}  # all are, slowly; tests/decoders has their graphs


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in VARIANTS
    ],
    ids=lambda name: name.replace(" ", "_"),
)
def saved(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[Model, Path]:
    """A model, and the folder that it is saved in."""
    model = models.model({"name": request.param.split()[0], **VARIANTS[request.param]})
    folder = tmp_path_factory.mktemp("saved") / "model"
    model.save(folder)
    return model, folder


@pytest.fixture
def captioner(saved: tuple[Model, Path]) -> Captioner:
    return cutline.load(saved[1])


@pytest.fixture
def photo() -> Image.Image:
    return ScenePicture(4, 64).open()


def test_a_saved_captioner_comes_back_as_it_was(saved: tuple[Model, Path], photo: Image.Image):
    model, folder = saved
    before = model.captioner()
    for backend in ("onnx", "torch"):
        again = cutline.load(folder, backend=backend)
        kept = {**again.config.model_dump(), "grid": None}
        assert kept == model.config.model_dump()
        for said, repeated in zip(before.n_best(photo, 3), again.n_best(photo, 3), strict=True):
            assert said.text == repeated.text
            assert repeated.log_probs == pytest.approx(said.log_probs, abs=1e-4)
            for name in ("attention", "sentinel"):
                ours, theirs = getattr(said, name), getattr(repeated, name)
                assert (ours is None) == (theirs is None)
                assert ours is None or theirs == pytest.approx(ours, abs=1e-4)


def test_every_captioner_explains_itself_and_says_whether_it_attends(
    saved: tuple[Model, Path], captioner: Captioner, photo: Image.Image, tmp_path: Path
):
    caption = max(captioner.n_best(photo, 5), key=lambda found: len(found.words))
    attends = saved[0].network.decoder.attends
    assert (caption.attention is not None) == attends
    assert caption.words
    for name in ("look.html", "look.png", "look.gif"):
        explain(photo, caption, tmp_path / name)
    page = (tmp_path / "look.html").read_text(encoding="utf-8")
    assert caption.words[0] in page
    assert ("does not attend" in page) != attends


def test_every_decoder_is_tried_here():
    kinds = get_args(get_args(DecoderConfig)[0])
    assert {kind.model_fields["name"].default for kind in kinds} <= set(VARIANTS)


def test_the_json_tells_beta_of_each_word_where_there_is_one(
    saved: tuple[Model, Path], captioner: Captioner, photo: Image.Image, tmp_path: Path
):
    photo.save(tmp_path / "photo.png")
    words = ["caption", tmp_path / "photo.png", "--model", saved[1]]
    done = terminal.cutline(*words, "--format", "json", "--sidecar", "json")
    row = json.loads(done.stdout)
    assert json.loads((tmp_path / "photo.json").read_text()) == row
    said = captioner.caption(tmp_path / "photo.png")
    assert ("sentinel" in row) == (said.sentinel is not None)
    if said.sentinel is not None:
        assert said.attention is not None
        assert len(row["sentinel"]) == len(row["words"])
        shares = row["sentinel"] + said.attention.sum((1, 2))
        assert np.allclose(shares, 1, atol=1e-5)
