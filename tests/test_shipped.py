"""The captioner that comes with Cutline: small, there, offline, honest."""

import json
import socket

import numpy as np
import pytest
from PIL import Image

import cutline as package
from cutline.captioner import Captioner
from cutline.captioner.folder import read_config
from cutline.config import HardConfig
from cutline.data.readers import open_dataset
from cutline.data.scenes import ScenePicture
from cutline.errors import ModelError
from cutline.models import SHIPPED, find_model, shipped_models
from support.terminal import cutline

MEGABYTES = 20


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return package.load()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_it_is_small_and_says_where_it_comes_from():
    folder = find_model(SHIPPED)
    assert sum(path.stat().st_size for path in folder.iterdir()) < MEGABYTES * 1e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("Data", "Licence", "Recipe", "bad at", "search:beam-5", "Encoder"):
        assert part.lower() in card.lower(), part
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert {"BLEU-4", "CIDEr", "METEOR"} <= set(config["scores"])


def test_without_a_model_named_it_captions_and_asks_nobody(no_network, tmp_path):
    photo = tmp_path / "photo.jpg"
    sky, grass = np.full((120, 320, 3), (120, 170, 230)), np.full((120, 320, 3), (60, 140, 50))
    Image.fromarray(np.concatenate([sky, grass]).astype(np.uint8)).save(photo)
    done = cutline("caption", photo)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 4
    row = json.loads(cutline("caption", photo, "--format", "json").stdout)
    assert row["model"] == SHIPPED
    assert 0 <= row["confidence"] <= 1


def test_it_is_found_by_name_and_listed():
    assert SHIPPED in [path.name for path in shipped_models()]
    assert SHIPPED in cutline("models").stdout
    with pytest.raises(ModelError, match=f"did you mean '{SHIPPED}'"):
        package.load("flickr8k-smal")


def test_what_is_no_photograph_is_met_with_doubt(captioner):
    dice = np.random.default_rng(0)
    noise = [dice.integers(0, 256, (200, 300, 3), dtype=np.uint8) for _ in range(4)]
    blank = [np.full((200, 300, 3), shade, dtype=np.uint8) for shade in (0, 90, 255)]
    drawings = [ScenePicture(number, 224).open() for number in range(8)]
    strange = [*map(Image.fromarray, [*noise, *blank]), *drawings]
    found = captioner.caption(strange)
    assert np.mean([caption.unsure for caption in found]) >= 0.9


def test_photographs_are_met_without(captioner, shared):
    examples = open_dataset(shared / "flickr8k").split("val")[::20]
    found = captioner.caption([example.picture.open() for example in examples])
    assert np.mean([caption.unsure for caption in found]) <= 0.1  # 50 of them; 5% of all
    assert np.mean([caption.confidence for caption in found]) > 0.3


def test_a_model_whose_config_has_the_names_of_an_older_version_is_read(tmp_path):
    folder = tmp_path / "older"
    folder.mkdir()
    content = json.loads((find_model(SHIPPED) / "config.json").read_text(encoding="utf-8"))
    content["encoder"] |= {"batch_norm": "kept", "from_epoch": 2}
    content["encoder"].pop("unfreeze_epoch", None)
    content["decoder"] = {"name": "hard", "samples": 2, "credit": "future", "baseline": "others"}
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    config = read_config(folder)
    assert (config.encoder.batch_norm, config.encoder.unfreeze_epoch) == ("frozen", 2)
    assert isinstance(config.decoder, HardConfig)
    assert (config.decoder.credit, config.decoder.baseline) == ("reward_to_go", "leave_one_out")
