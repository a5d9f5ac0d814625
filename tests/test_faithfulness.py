"""Faithfulness of attention, on a captioner whose words are known to depend on one region."""

from types import SimpleNamespace

import numpy as np
import pytest

from cutline.captioner import Caption
from cutline.captioner.backend import Encoded, Started
from cutline.captioner.captioner import Square
from cutline.errors import UsageError
from cutline.evaluation import measure_faithfulness
from cutline.search import NumpyArrays, Scored

GRID = 4
SIDE = 16
WORDS = ["<pad>", "<start>", "<end>", "<unk>", "a", "lamp", "shines"]
LAMP = (1, 3)  # the cell of the lamp
SEEN, MISSED = 0.9, 0.1  # probability of every word with and without the lamp


class Backend:
    """Gives each word of the caption `SEEN` where the lamp's cell is white, else `MISSED`."""

    arrays = NumpyArrays()
    grid = (GRID, GRID)

    def encode(self, pixels):
        cells = pixels.reshape(len(pixels), GRID, SIDE // GRID, GRID, SIDE // GRID, 3)
        return Encoded(cells.mean((2, 4, 5)).reshape(len(pixels), -1, 1), None)

    def start(self, encoded):
        lit = encoded.grid.reshape(-1, GRID, GRID)[:, LAMP[0], LAMP[1]] > 250
        return Started(None, lit)

    def step(self, words, state, memory, *, best):
        del memory
        assert best is None
        following = {1: 4, 4: 5, 5: 6, 6: 2}
        share = np.where(state, SEEN, MISSED)
        probs = np.repeat((1 - share)[:, None] / (len(WORDS) - 1), len(WORDS), 1)
        probs[np.arange(len(words)), [following[int(w)] for w in words]] = share
        return Scored(np.log(probs), state)


class Captioner:
    """Says `a lamp shines` and looks at one cell, or nowhere."""

    name = "lamps"
    config = SimpleNamespace(decoder=SimpleNamespace(name="nic"))
    vocabulary = SimpleNamespace(all_words=WORDS, pad=0, start=1, end=2, unk=3)
    backend = Backend()

    def __init__(self, look, words=("a", "lamp", "shines")):
        self.look = look
        self.words = words

    def captioned(self, count):
        """Pictures with a lamp, each with its caption."""
        attention = np.full((len(self.words), GRID, GRID), 0.01)
        if self.look is not None:
            attention[:, self.look[0], self.look[1]] = 0.85
        found = Caption(
            " ".join(self.words),
            self.words,
            (-0.1,) * len(self.words),
            -0.3,
            0.9,
            True,
            None if self.look is None else attention,
        )
        return [(square, found) for square in lamps(count)]


def lamps(count):
    """Grey pictures with a white lamp."""
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    cell = SIDE // GRID
    pixels[LAMP[0] * cell : (LAMP[0] + 1) * cell, LAMP[1] * cell : (LAMP[1] + 1) * cell] = 255
    return [Square(pixels, (0, 0, 1, 1))] * count


def measure(captioner, count, **options):
    return measure_faithfulness(captioner, captioner.captioned(count), **options)


def test_words_die_with_the_region_that_was_looked_at():
    found = measure(Captioner(LAMP), 12)
    assert found.images == 12
    assert found.words == 24  # `a` names nothing
    assert found.peak == pytest.approx(0.85)
    # the lamp is the first of sixteen regions: gone at the first share, there at the first share
    np.testing.assert_allclose(found.deletion["attention"][1:], MISSED, atol=1e-6)
    np.testing.assert_allclose(found.insertion["attention"][1:], SEEN, atol=1e-6)
    for order in ("centre", "random"):
        assert found.deletion_area[order].mean() > found.deletion_area["attention"].mean() + 0.1
        assert found.insertion_area[order].mean() < found.insertion_area["attention"].mean() - 0.1


def test_attention_to_another_region_is_worse_than_chance():
    found = measure(Captioner((3, 0)), 12)
    assert found.deletion_area["attention"].mean() > 0.1
    assert found.insertion_area["attention"].mean() < found.insertion_area["random"].max()
    np.testing.assert_allclose(found.deletion["attention"][1], SEEN, atol=1e-6)


def test_curves_begin_and_end_at_the_whole_and_the_blank_picture():
    found = measure(Captioner(LAMP), 2)
    for order, curve in found.deletion.items():
        np.testing.assert_allclose([curve[0], curve[-1]], [SEEN, MISSED], atol=1e-6)
        np.testing.assert_allclose(found.insertion[order][[0, -1]], [MISSED, SEEN], atol=1e-6)


def test_the_random_order_is_of_its_seed():
    first, again, other = (
        measure(Captioner(LAMP), 3, seed=seed).deletion_area["random"] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("captioner", "told"),
    [
        (Captioner(None), "lamps (nic) does not attend"),
        (Captioner(LAMP, words=("a",)), "No caption has a content word"),
    ],
)
def test_what_cannot_be_measured_is_refused(captioner, told):
    with pytest.raises(UsageError, match=told.replace("(", "\\(").replace(")", "\\)")):
        measure(captioner, 2)
