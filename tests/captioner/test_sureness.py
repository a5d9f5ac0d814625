"""How sure a captioner is: what is novel, what a confidence is, and when there is doubt."""

import math

import numpy as np
import pytest

from cutline.captioner import Caption, Familiar, Sureness, SurenessConfig, mean_log_prob


def photographs(many: int = 400) -> np.ndarray:
    """Features that vary in six directions, and hardly in the other 26."""
    spread = np.array([1.0] * 6 + [0.05] * 26)
    return 4 + spread * np.random.default_rng(0).normal(size=(many, 32))


def caption(*log_probs: float, finished: bool = True) -> Caption:
    words = tuple("w" for _ in log_probs[: len(log_probs) - finished])
    return Caption(" ".join(words), words, log_probs, sum(log_probs), 0.5, finished)


def sureness(**changes) -> Sureness:
    facts = {
        "slope": 2.0,
        "intercept": 1.0,
        "least": 0.1,
        "furthest": 3.0,
        "right": "it is",
        "share_right": 0.5,
        "calibration_error": 0.01,
        "images": 100,
    }
    familiar = Familiar.of(photographs(), directions=6)
    return Sureness(SurenessConfig.model_validate({**facts, **changes}), familiar)


def test_photographs_have_a_novelty_of_one_on_average_and_others_more():
    familiar = Familiar.of(photographs(), directions=6)
    own = familiar.novelty(photographs())
    assert float(own.mean()) == pytest.approx(1, rel=0.02)
    away = photographs(20)
    away[:, 20] += 1  # small among the directions that vary much, far among those that do not
    assert (familiar.novelty(away) > 5 * own.mean()).all()


def test_brightness_alone_is_not_novel():
    familiar = Familiar.of(photographs(), directions=6)
    assert np.allclose(
        familiar.novelty(photographs()), familiar.novelty(3 * photographs()), rtol=1e-3
    )


def test_fewer_photographs_than_directions_will_do():
    assert np.isfinite(Familiar.of(photographs(5)).novelty(photographs(9))).all()


def test_confidence_is_a_logistic_function_of_the_log_probability_a_word():
    one = caption(-0.5, -0.1, -0.3)
    assert mean_log_prob(one) == pytest.approx(-0.3)
    [judged] = sureness().judge([one], 1.0)
    assert judged.confidence == pytest.approx(1 / (1 + math.exp(-(2 * -0.3 + 1))))
    assert judged.unsure is False
    assert judged.hedged == one.text


def test_doubt_is_said_of_novel_pictures_and_of_hopeless_captions():
    sure, hopeless = caption(-0.1, -0.1), caption(-5.0, -5.0)
    assert [c.unsure for c in sureness().judge([sure, hopeless], 1.0)] == [False, True]
    assert [c.unsure for c in sureness().judge([sure, hopeless], 3.1)] == [True, True]
    assert sureness().judge([sure], 9.0)[0].hedged == f"perhaps: {sure.text}"


def test_no_evidence_is_too_strong():
    [judged] = sureness(slope=100.0).judge([caption(-1e4, -1e4)], 1.0)
    assert judged.confidence == pytest.approx(0)


def test_a_model_that_is_not_calibrated_does_not_hedge():
    assert caption(-9.0, -9.0).hedged == "w"
