"""BLEU, ROUGE-L and CIDEr on words: the reference's figures, then cases one can work out."""

import json
from math import exp, log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics import BleuTotals, DocumentFrequencies, bleu, bleu_totals, cider_d, rouge_l
from cutline.metrics.cider import consensus, weigh
from cutline.metrics.ngrams import count_ngrams
from cutline.metrics.rouge import longest_common_subsequence

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference_scores"
SENTENCES = st.lists(st.sampled_from("abc"), max_size=8)


def words(text: str) -> list[str]:
    return text.split()


# --- CIDEr-D with given document frequencies


@pytest.mark.parametrize(("key", "end"), [("no_eos", None), ("with_eos", "<end>")])
def test_rewards_are_those_of_the_reference_scorer(key: str, end: str | None):
    inputs, corpus, expected = (
        json.loads((FIXTURES / name).read_text("utf-8"))
        for name in (
            "synthetic.json",
            "synthetic.expected.json",
            "synthetic.ciderd_df.expected.json",
        )
    )
    references = {i: [words(r) for r in refs] for i, refs in corpus["tokenized_refs"].items()}
    frequencies = DocumentFrequencies.of(references.values(), end=end)
    rewards = [
        cider_d(words(sample), references[image], frequencies)
        for image in expected["images"]
        for sample in inputs[image]["samples"]
    ]
    assert len(frequencies.counts) == expected[key]["df_entries"]
    assert frequencies.images == expected["n_df_images"]
    assert rewards == pytest.approx(expected[key]["scores"], abs=1e-9)
    assert sum(rewards) / len(rewards) == pytest.approx(expected[key]["mean"], abs=1e-9)


def test_a_word_is_counted_once_per_image():
    frequencies = DocumentFrequencies.of([[["a", "a"], ["a"]], [["b"]]])
    assert frequencies.counts == {("a",): 1, ("a", "a"): 1, ("b",): 1}
    assert frequencies.surprise(("a",)) == pytest.approx(log(2))
    assert frequencies.surprise(("never", "seen")) == pytest.approx(log(2))


def test_a_word_of_every_image_is_worth_nothing():
    frequencies = DocumentFrequencies.of([[["a", "b"]], [["a"]]])
    assert frequencies.surprise(("a",)) == 0
    assert cider_d(["a"], [["a"]], frequencies) == 0


def test_the_end_word_rewards_stopping_where_the_reference_stops():
    images = [[words("a red bus")], [words("two red dogs")]]
    plain = DocumentFrequencies.of(images)
    with_end = DocumentFrequencies.of(images, end="<end>")
    stopped, cut = words("a red bus"), words("a red")
    assert cider_d(stopped, images[0], with_end) == pytest.approx(
        cider_d(
            [*stopped, "<end>"],
            [[*images[0][0], "<end>"]],
            DocumentFrequencies.of([[[*r, "<end>"] for r in refs] for refs in images]),
        )
    )
    assert cider_d(cut, images[0], with_end) < cider_d(cut, images[0], plain)


def test_repeating_a_right_word_is_not_rewarded():
    frequencies = DocumentFrequencies.of([[["bus"]], [["dog"]]])
    once, often = (cider_d(["bus"] * k, [["bus"]], frequencies) for k in (1, 5))
    assert once == pytest.approx(2.5)
    assert often == pytest.approx(2.5 * exp(-16 / 72) / 5)


def test_an_empty_candidate_gets_nothing():
    frequencies = DocumentFrequencies.of([[["bus"]], [["dog"]]])
    assert cider_d([], [["bus"]], frequencies) == 0
    assert cider_d([], [[]], frequencies) == 0


def test_references_weighed_once_give_the_same_reward():
    frequencies = DocumentFrequencies.of([[words("a red bus"), words("a bus")], [["dog"]]])
    references = [words("a red bus"), words("a bus")]
    weighed = [weigh(reference, frequencies) for reference in references]
    for candidate in ("a red bus", "bus", ""):
        reward = consensus(weigh(words(candidate), frequencies), weighed)
        assert reward == cider_d(words(candidate), references, frequencies)


# --- BLEU


def test_the_example_of_the_bleu_paper_is_clipped_to_two_of_seven():
    references = [words("the cat is on the mat"), words("there is a cat on the mat")]
    totals = bleu_totals(words("the the the the the the the"), references)
    assert (totals.correct[0], totals.guess[0]) == (2, 7)


def test_the_closest_reference_counts_and_of_two_equally_close_the_shorter():
    references = [["a"] * 3, ["a"] * 5, ["a"] * 9]
    assert bleu_totals(["a"] * 4, references).reflen == 3
    assert bleu_totals(["a"] * 8, references).reflen == 9


def test_a_short_candidate_pays_the_brevity_penalty():
    totals = bleu_totals(words("a b"), [words("a b c d")])
    assert bleu(totals)[0] == pytest.approx(exp(1 - 4 / 2))


def test_an_empty_candidate_has_bleu_zero():
    totals = bleu_totals([], [words("a cat")])
    assert totals == BleuTotals(testlen=0, reflen=2, guess=(0, 0, 0, 0), correct=(0, 0, 0, 0))
    assert bleu(totals) == (0, 0, 0, 0)


def test_totals_add_up():
    parts = [bleu_totals(["a"], [["a", "b"]]), bleu_totals(["a", "b"], [["a", "b"]])]
    assert BleuTotals.total(parts) == BleuTotals(3, 4, (3, 1, 0, 0), (3, 1, 0, 0))


# --- ROUGE-L


def naive_lcs(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return naive_lcs(a[:-1], b[:-1]) + 1
    return max(naive_lcs(a[:-1], b), naive_lcs(a, b[:-1]))


@given(SENTENCES, SENTENCES)
def test_the_longest_common_subsequence_is_that_of_the_definition(a: list[str], b: list[str]):
    assert longest_common_subsequence(a, b) == naive_lcs(a, b)


def test_precision_and_recall_may_come_from_different_references():
    candidate, references = words("a b c d"), [words("a b c x x x"), words("d")]
    P, R = 3 / 4, 1.0
    expected = (1 + 1.44) * P * R / (R + 1.44 * P)
    assert rouge_l(candidate, references) == pytest.approx(expected)


def test_nothing_in_common_is_zero():
    assert rouge_l(["a"], [["b"], []]) == 0
    assert rouge_l([], [["b"]]) == 0


# --- n-grams


@given(SENTENCES)
def test_a_sentence_has_as_many_ngrams_as_places_to_begin(sentence: list[str]):
    expected = sum(max(0, len(sentence) - n) for n in range(4))
    assert count_ngrams(sentence).total() == expected
