"""Pictures are encoded a few at a time, whatever the batch, so that memory stays bounded."""

import numpy as np
import pytest

import cutline
from cutline.captioner.onnx import FEW


@pytest.mark.parametrize("images", [1, FEW, FEW + 1])
def test_each_picture_of_a_batch_is_seen_as_it_is_alone(images, monkeypatch):
    backend = cutline.load(threads=1).backend
    given, run = [], backend._encode.run
    monkeypatch.setattr(
        backend._encode, "run", lambda *asked: given.append(len(asked[1]["pixels"])) or run(*asked)
    )
    dice = np.random.default_rng(0)
    pixels = dice.integers(0, 256, (images, 224, 224, 3), dtype=np.uint8)
    together = backend.encode(pixels)
    assert max(given) <= FEW
    for place in range(images):
        alone = backend.encode(pixels[place : place + 1])
        for whole, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[place], one[0], rtol=1e-3, atol=1e-4)
