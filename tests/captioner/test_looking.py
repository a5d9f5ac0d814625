"""A captioner may look at larger pictures than it was trained on, and at mirror images."""

import numpy as np
import pytest
from PIL import Image

import cutline
from cutline.errors import UsageError
from cutline.models import SHIPPED, find_model
from cutline.network import Model
from support import models


@pytest.fixture
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((600, 400))


def test_larger_pictures_and_mirror_images(photo):
    shipped = Model.read(find_model(SHIPPED))
    looking = shipped.looking(size=96, mirror=False)
    smaller = looking.captioner()
    assert smaller.square(photo).pixels.shape == (96, 96, 3)
    assert smaller.backend.grid == (3, 3)
    seen = smaller.encode([smaller.square(photo)])
    assert seen.grid.shape[1] == 9
    assert smaller.caption(photo).attention.shape[1:] == (3, 3)
    assert smaller.sureness is None  # it was learned of other features
    assert smaller.config.scores == {}
    assert shipped.sureness is not None
    both = looking.looking(mirror=True).captioner()
    assert both.encode([both.square(photo)]).grid.isfinite().all()
    assert not np.allclose(both.encode([both.square(photo)]).grid, seen.grid, atol=1e-3)
    assert both.config.encoder.size == 96


def test_it_comes_back_from_disk_with_graphs_that_look_so(photo, tmp_path):
    looking = models.model().looking(size=96, mirror=True)
    looking.save(tmp_path / "model")
    again, before = cutline.load(tmp_path / "model"), looking.captioner()
    assert again.config.encoder.mirror
    assert again.caption(photo).text == before.caption(photo).text
    assert again.caption(photo).attention.shape[1:] == before.backend.grid
    squares = [before.square(photo)]
    assert np.allclose(again.encode(squares).grid, before.encode(squares).grid, atol=1e-4)


def test_weights_for_one_size_are_said_to_be():
    model = models.model({"name": "nic"}, {"name": "test_vit", "size": 160, "stage": None})
    with pytest.raises(UsageError, match="for pictures of 160 pixels only"):
        model.looking(size=192)
