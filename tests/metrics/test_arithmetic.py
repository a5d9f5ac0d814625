"""BLEU, ROUGE-L and CIDEr on words: the reference's figures, a plain oracle, cases by hand."""

import json
from collections import Counter
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics import BleuTotals, Cider, DocumentFrequencies
from cutline.metrics.bleu import bleu, bleu_totals
from cutline.metrics.references import References
from cutline.metrics.rouge import longest_common_subsequence, rouge_l

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference_scores"
SENTENCES = st.lists(st.sampled_from("abc"), max_size=8)
IMAGES = st.lists(
    st.tuples(SENTENCES, st.lists(SENTENCES, min_size=1, max_size=3)), min_size=1, max_size=4
)


def words(text: str) -> list[str]:
    return text.split()


def ngrams(sentence: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))


def totals_of(candidate: list[str], references: list[list[str]]) -> BleuTotals:
    return bleu_totals([candidate], References([references]))[0]


# --- CIDEr-D with given document frequencies


def given_frequencies(images: list[list[list[str]]]) -> DocumentFrequencies:
    """Count as a reader of the paper would."""
    counts: Counter[tuple[str, ...]] = Counter()
    for references in images:
        counts.update({w for words in references for n in range(1, 5) for w in ngrams(words, n)})
    return DocumentFrequencies(len(images), counts)


@pytest.mark.parametrize("given_apart", [False, True])
@pytest.mark.parametrize(("key", "end"), [("no_eos", None), ("with_eos", "<end>")])
def test_rewards_are_those_of_the_reference_scorer(key: str, end: str | None, given_apart: bool):
    inputs, corpus, expected = (
        json.loads((FIXTURES / name).read_text("utf-8"))
        for name in (
            "synthetic.json",
            "synthetic.expected.json",
            "synthetic.ciderd_df.expected.json",
        )
    )
    tail = [] if end is None else [end]
    references = {
        image: [[*words(text), *tail] for text in texts]
        for image, texts in corpus["tokenized_refs"].items()
    }
    samples = [[*words(s), *tail] for i in expected["images"] for s in inputs[i]["samples"]]
    frequencies = given_frequencies(list(references.values()))
    assert len(frequencies.counts) == expected[key]["df_entries"]
    assert frequencies.images == expected["n_df_images"]
    if given_apart:  # only the references that are scored, the frequencies from elsewhere
        cider = Cider([references[i] for i in expected["images"]], frequencies=frequencies)
        rows = range(len(expected["images"]))
    else:
        cider = Cider(list(references.values()))
        rows = [list(references).index(image) for image in expected["images"]]
    rewards = cider(samples, [row for row in rows for _ in range(5)])
    assert rewards.tolist() == pytest.approx(expected[key]["scores"], abs=1e-9)
    assert rewards.mean() == pytest.approx(expected[key]["mean"], abs=1e-9)


def naive_cider(
    candidate: list[str], references: list[list[str]], frequencies: DocumentFrequencies
) -> float:
    """The definition, a sum at a time."""

    def weighed(sentence: list[str], n: int) -> dict[tuple[str, ...], float]:
        return {
            w: k * (log(frequencies.images) - log(max(1, frequencies.counts.get(w, 0))))
            for w, k in ngrams(sentence, n).items()
        }

    total = 0.0
    for reference in references:
        penalty = exp(-((len(candidate) - len(reference)) ** 2) / 72)
        for n in range(1, 5):
            c, r = weighed(candidate, n), weighed(reference, n)
            norms = sqrt(sum(v * v for v in c.values())) * sqrt(sum(v * v for v in r.values()))
            dot = sum(min(v, r[w]) * r[w] for w, v in c.items() if w in r)
            total += penalty * (dot / norms if norms else 0.0)
    return 10 * total / 4 / len(references)


@given(IMAGES)
def test_cider_is_that_of_the_definition(images: list[tuple[list[str], list[list[str]]]]):
    references = [theirs for _, theirs in images]
    made = Cider(references)([candidate for candidate, _ in images])
    frequencies = given_frequencies(references)
    expected = [naive_cider(candidate, theirs, frequencies) for candidate, theirs in images]
    assert made.tolist() == pytest.approx(expected, abs=1e-12)


def test_a_word_of_every_image_is_worth_nothing():
    assert Cider([[["a", "b"]], [["a"]]])([["a"], ["a"]]).tolist() == [0, 0]


def test_several_candidates_of_one_image_are_scored_apart():
    cider = Cider([[words("a red bus"), words("a bus")], [["dog"]]])
    several = cider([words("a red bus"), ["dog"], ["bus"], []], [0, 1, 0, 0])
    single = [
        cider([candidate], [image])[0]
        for candidate, image in [(words("a red bus"), 0), (["dog"], 1), (["bus"], 0), ([], 0)]
    ]
    assert several.tolist() == single


def test_words_that_no_reference_has_lengthen_a_candidate_and_repeats_of_them_count():
    cider = Cider([[["bus"]], [["dog"]]])
    one, two, same = cider([words("bus x"), words("bus x y"), words("bus x x")], [0, 0, 0])
    assert one == pytest.approx(2.5 * exp(-1 / 72) / sqrt(2))
    assert two == pytest.approx(2.5 * exp(-4 / 72) / sqrt(3))
    assert same == pytest.approx(2.5 * exp(-4 / 72) / sqrt(5))


def test_scoring_leaves_the_frequencies_as_they_were():
    cider = Cider([[["bus"]], [["dog"]]])
    sizes = cider.references.index.sizes
    before = cider([["bus"]], [0])
    for number in range(50):
        cider([[f"new{number}", "bus"]], [0])
    assert cider.references.index.sizes == sizes
    assert cider.references.index.count([["bus"]])[0].number.tolist() == [0]
    assert np.array_equal(cider([["bus"]], [0]), before)


def test_an_end_word_rewards_stopping_where_the_reference_stops():
    images = [[words("a red bus <end>")], [words("two red dogs <end>")]]
    stopped, early, late = Cider(images)(
        [words("a red bus <end>"), words("a red <end>"), words("a red bus")], [0, 0, 0]
    )
    assert stopped == pytest.approx(10)
    assert stopped > late > early


def test_repeating_a_right_word_is_not_rewarded():
    cider = Cider([[["bus"]], [["dog"]]])
    once, often = (float(cider([["bus"] * k], [0])[0]) for k in (1, 5))
    assert once == pytest.approx(2.5)
    assert often == pytest.approx(2.5 * exp(-16 / 72) / 5)


def test_an_empty_candidate_gets_nothing():
    assert Cider([[["bus"]], [["dog"]]])([[], []]).tolist() == [0, 0]
    assert Cider([[[]], [["dog"]]])([[], []]).tolist() == [0, 0]
    assert Cider([[[]]])([[]]).tolist() == [0]


# --- BLEU


def naive_totals(candidate: list[str], references: list[list[str]]) -> BleuTotals:
    correct = []
    for n in range(1, 5):
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= ngrams(reference, n)
        correct.append((ngrams(candidate, n) & most).total())
    closest = sorted(references, key=lambda r: (abs(len(r) - len(candidate)), len(r)))[0]
    guess = tuple(max(0, len(candidate) - n) for n in range(4))
    return BleuTotals(len(candidate), len(closest), guess, tuple(correct))


@given(IMAGES)
def test_bleu_counts_are_those_of_the_definition(images: list[tuple[list[str], list[list[str]]]]):
    made = bleu_totals([c for c, _ in images], References([theirs for _, theirs in images]))
    assert made == [naive_totals(*image) for image in images]


def test_the_example_of_the_bleu_paper_is_clipped_to_two_of_seven():
    references = [words("the cat is on the mat"), words("there is a cat on the mat")]
    totals = totals_of(words("the the the the the the the"), references)
    assert (totals.correct[0], totals.guess[0]) == (2, 7)


def test_the_closest_reference_counts_and_of_two_equally_close_the_shorter():
    references = [["a"] * 3, ["a"] * 5, ["a"] * 9]
    assert totals_of(["a"] * 4, references).reflen == 3
    assert totals_of(["a"] * 8, references).reflen == 9


def test_a_short_candidate_pays_the_brevity_penalty():
    totals = totals_of(words("a b"), [words("a b c d")])
    assert bleu(totals)[0] == pytest.approx(exp(1 - 4 / 2))


def test_an_empty_candidate_has_bleu_zero():
    totals = totals_of([], [words("a cat")])
    assert totals == BleuTotals(testlen=0, reflen=2, guess=(0, 0, 0, 0), correct=(0, 0, 0, 0))
    assert bleu(totals) == (0, 0, 0, 0)


def test_totals_add_up():
    parts = [totals_of(["a"], [["a", "b"]]), totals_of(["a", "b"], [["a", "b"]])]
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
