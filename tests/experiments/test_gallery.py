"""The gallery: chosen by rule, the same each time, and without a reference in it."""

from types import SimpleNamespace

import pytest
from PIL import Image


@pytest.fixture
def gallery(tool):
    return tool("experiments.flickr8k.gallery")


@pytest.fixture
def found():
    images = [f"{n}_x.jpg" for n in range(300)]
    captions = {
        image: SimpleNamespace(hedged=f"says {n}", confidence=(n * 7 % 100) / 100)
        for n, image in enumerate(images)
    }
    scores = SimpleNamespace(per_image={im: {"CIDEr": n / 100} for n, im in enumerate(images)})
    return SimpleNamespace(captions=captions, scores=scores)


def test_pictures_are_chosen_by_rule(gallery, found):
    chosen = gallery.choose(found)
    assert chosen == gallery.choose(found)
    assert chosen["The best"] == [f"{n}_x.jpg" for n in range(299, 293, -1)]
    assert len(set(chosen["Drawn at random"])) == gallery.DRAWN
    worst = [found.captions[image].confidence for image in chosen["The worst"]]
    assert worst == [0.99, 0.98, 0.97, 0.96, 0.95, 0.94]  # of the hundred lowest, the surest


def test_the_table_says_what_is_on_a_picture_or_that_nobody_has_said_it(gallery, found):
    text = gallery.table({"The best": ["1_x.jpg", "2_x.jpg"]}, found, {"1_x.jpg": "a red kite"})
    assert "| 1 | a red kite | says 1 | 0.07 | 0.01 |" in text
    assert "| 2 | *not described yet* | says 2 |" in text


def test_a_sheet_has_rows(gallery):
    assert gallery.sheet([Image.new("RGB", (30, 20))] * 7).size == (224 * 6, 224 * 2)
