"""Intervals: what they must cover, and that pairs are drawn together."""

import numpy as np
import pytest

from cutline.metrics import compare, score
from cutline.metrics.bootstrap import draws, interval

TRUTHS = {n: [f"a {color} bus near tree {n}"] for n, color in enumerate(["red", "blue"] * 20)}
GOOD = {n: texts[0] for n, texts in TRUTHS.items()}
WORSE = {n: text if n % 4 else "two dogs" for n, text in GOOD.items()}


def test_every_draw_has_as_many_images_as_the_set():
    counts = np.concatenate(list(draws(7, 600)))
    assert counts.shape == (600, 7)
    assert set(counts.sum(1).tolist()) == {7}
    assert counts.mean(0) == pytest.approx(np.ones(7), abs=0.15)


def test_a_seed_draws_the_same_images_again():
    first, again, other = (np.concatenate(list(draws(5, 9, seed))) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_interval_is_the_middle_95_percent():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    made = score(WORSE, TRUTHS, ["ROUGE-L"], bootstrap=2000)
    values = np.array([row["ROUGE-L"] for row in made.per_image.values()])
    low, high = made.intervals["ROUGE-L"]
    assert high - low == pytest.approx(2 * 1.96 * values.std() / len(values) ** 0.5, rel=0.1)
    assert low < made.corpus["ROUGE-L"] < high


def test_a_draw_of_every_image_once_gives_the_corpus_figures():
    from cutline.metrics.measures import METRICS
    from cutline.metrics.tokenized import Tokenized

    captions = Tokenized(WORSE, TRUTHS)
    once, alone = np.ones((1, 40), np.int64), np.eye(40, dtype=np.int64)
    for name in ("BLEU", "ROUGE-L", "CIDEr"):
        measured = METRICS[name].measure(captions)
        for figure, values in measured.redraw(once).items():
            assert values.tolist() == pytest.approx([measured.corpus[figure]])
        # 40 times the same image scores as that image does
        for figure, values in measured.redraw(40 * alone).items():
            assert values.tolist() == pytest.approx(
                [row[figure] for row in measured.rows], abs=1e-9
            )


def test_no_intervals_unless_they_were_asked_for():
    assert score(GOOD, TRUTHS).intervals == {}


def test_two_systems_are_compared_on_the_same_draws():
    made = compare(GOOD, WORSE, TRUTHS, samples=500)
    assert made.first == score(GOOD, TRUTHS, bootstrap=500)
    for name, difference in made.differences.items():
        assert difference.value == made.first.corpus[name] - made.second.corpus[name]
        assert 0 < difference.low < difference.value < difference.high


def test_a_system_does_not_differ_from_itself_whatever_its_order():
    made = compare(WORSE, dict(reversed(WORSE.items())), TRUTHS, samples=100)
    assert {one for difference in made.differences.values() for one in difference} == {0.0}


def test_pairing_is_narrower_than_two_intervals():
    """What is hard about an image is hard for both, so it does not blur their difference."""
    nearly = {n: text.replace("near", "by") for n, text in WORSE.items()}
    made = compare(WORSE, nearly, TRUTHS, ["CIDEr"], samples=500)
    paired = made.differences["CIDEr"]
    low, high = made.first.intervals["CIDEr"]
    assert paired.high - paired.low < 0.8 * (high - low)
