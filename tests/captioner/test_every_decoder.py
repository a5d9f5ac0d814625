"""A captioner of each kind goes to disk and comes back, captions, and explains itself."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

import cutline
import terminal
from cutline.captioner import Captioner, ModelConfig, build_network
from cutline.config import DecoderConfig, EncoderConfig, SearchConfig
from cutline.data.scenes import ScenePicture
from cutline.errors import UsageError
from cutline.explain import explain
from cutline.vocabulary import Vocabulary

SIZES = {"embedding": 8, "hidden": 12, "dropout": 0.3}
VARIANTS = {
    **{name: {} for name in ("rnn", "nic", "dot", "soft", "hard", "spatial", "adaptive")},
    "rnn by hand": {"backward": "manual"},
    "nic from scratch": {"cell": "scratch", "layers": 2},
    "soft behind a head": {"head": 6},
    "hard by expectation": {"inference": "expectation", "expectation": 0.25, "samples": 3},
    "adaptive from scratch": {"cell": "scratch", "attention": 5},
}


@pytest.fixture(params=VARIANTS, ids=lambda name: name.replace(" ", "_"))
def captioner(request: pytest.FixtureRequest) -> Captioner:
    torch.manual_seed(0)
    fields = {"name": request.param.split()[0], **SIZES, **VARIANTS[request.param]}
    decoder = TypeAdapter(DecoderConfig).validate_python(fields)
    encoder = EncoderConfig(name="test_resnet", weights="random", size=64, stage=2)
    vocabulary = Vocabulary.build(["a red circle and a small blue square"], min_frequency=1)
    network = build_network(encoder, decoder, vocabulary_size=len(vocabulary)).eval()
    config = ModelConfig(
        cutline_version=cutline.__version__,
        encoder=encoder,
        decoder=decoder,
        vocabulary_size=len(vocabulary),
        preprocessing=network.encoder.preprocessing,
        search=SearchConfig(beam=3, max_words=6),
    )
    return Captioner(config, network, vocabulary)


@pytest.fixture
def photo() -> Image.Image:
    return ScenePicture(4, 64).open()


def test_a_saved_captioner_comes_back_as_it_was(
    captioner: Captioner, photo: Image.Image, tmp_path: Path
):
    captioner.save(tmp_path / "model")
    again = cutline.load(tmp_path / "model")
    assert again.config == captioner.config
    for said, repeated in zip(captioner.n_best(photo, 3), again.n_best(photo, 3), strict=True):
        assert (said.text, said.log_probs) == (repeated.text, repeated.log_probs)
        for name in ("attention", "sentinel"):
            ours, theirs = getattr(said, name), getattr(repeated, name)
            assert (ours is None) == (theirs is None)
            assert ours is None or np.array_equal(ours, theirs)


def test_a_captioner_that_attends_explains_itself_and_no_other(
    captioner: Captioner, photo: Image.Image, tmp_path: Path
):
    caption = max(captioner.n_best(photo, 5), key=lambda found: len(found.words))
    page = tmp_path / "look.html"
    if not captioner.network.decoder.attends:
        with pytest.raises(UsageError, match="attention"):
            explain(photo, caption, page)
        return
    assert caption.words
    assert caption.attention.shape[0] == len(caption.words)
    explain(photo, caption, page)
    assert caption.words[0] in page.read_text(encoding="utf-8")


def test_every_decoder_is_tried_here():
    kinds = get_args(get_args(DecoderConfig)[0])
    assert {kind.model_fields["name"].default for kind in kinds} <= set(VARIANTS)


def test_the_json_tells_beta_of_each_word_where_there_is_one(
    captioner: Captioner, photo: Image.Image, tmp_path: Path
):
    captioner.save(tmp_path / "model")
    photo.save(tmp_path / "photo.png")
    words = ["caption", tmp_path / "photo.png", "--model", tmp_path / "model"]
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
