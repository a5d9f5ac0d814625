"""A captioner may look at larger pictures than it was trained on, and at mirror images."""

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

import cutline
from cutline.captioner import Captioner, ModelConfig, build_network
from cutline.config import DecoderConfig, EncoderConfig, SearchConfig
from cutline.errors import UsageError
from cutline.vocabulary import Vocabulary


@pytest.fixture
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((600, 400))


def test_larger_pictures_and_mirror_images(photo):
    shipped = cutline.load()
    smaller = shipped.looking(size=96, mirror=False)
    assert smaller.square(photo).pixels.shape == (96, 96, 3)
    seen = smaller.encode([smaller.square(photo)])
    assert (seen.height, seen.width) == (3, 3)
    assert smaller.caption(photo).attention.shape[1:] == (3, 3)
    assert smaller.sureness is None  # it was learned of other features
    assert smaller.config.scores == {}
    assert shipped.sureness is not None
    both = smaller.looking(mirror=True)
    assert both.encode([both.square(photo)]).grid.isfinite().all()
    assert not np.allclose(both.encode([both.square(photo)]).grid, seen.grid, atol=1e-3)
    assert both.config.encoder.size == 96


def test_it_comes_back_from_disk(photo, tmp_path):
    looking = cutline.load().looking(size=96, mirror=True)
    looking.save(tmp_path / "model")
    again = cutline.load(tmp_path / "model")
    assert again.config.encoder.mirror
    assert again.caption(photo).text == looking.caption(photo).text
    squares = [looking.square(photo)]
    assert np.allclose(again.encode(squares).grid, looking.encode(squares).grid, atol=1e-5)


def test_weights_for_one_size_are_said_to_be():
    encoder = EncoderConfig(name="test_vit", weights="random", size=160)
    decoder = TypeAdapter(DecoderConfig).validate_python({"name": "nic", "hidden": 8})
    vocabulary = Vocabulary.build(["a dog"], min_frequency=1)
    network = build_network(encoder, decoder, vocabulary_size=len(vocabulary)).eval()
    config = ModelConfig(
        cutline_version="0",
        encoder=encoder,
        decoder=decoder,
        vocabulary_size=len(vocabulary),
        preprocessing=network.encoder.preprocessing,
        search=SearchConfig(),
    )
    captioner = Captioner(config, network, vocabulary)
    with pytest.raises(UsageError, match="for pictures of 160 pixels only"):
        captioner.looking(size=192)
