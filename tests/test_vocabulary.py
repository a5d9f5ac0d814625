"""The vocabulary: counting by hand as the oracle, then captions people really write."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from cutline.data.readers import open_dataset
from cutline.errors import DataError, ModelError, UsageError
from cutline.metrics import ptb_tokenize
from cutline.models import shipped_models
from cutline.vocabulary import Vocabulary

SPECIAL = ["<pad>", "<start>", "<end>", "<unk>"]
CAPTIONS = ["A dog runs .", "The dog, a big one, sleeps!", "two dogs", "A cat ."]


def known(vocabulary: Vocabulary) -> set[str]:
    return set(vocabulary.words(range(len(vocabulary)))) - set(SPECIAL)


# --- building


@pytest.mark.parametrize("min_frequency", [1, 2, 3])
def test_words_that_occur_often_enough_are_known(min_frequency):
    plain = "a dog runs the dog a big one sleeps two dogs a cat"
    counts = Counter(plain.split())
    expected = {word for word, count in counts.items() if count >= min_frequency}
    assert known(Vocabulary.build(CAPTIONS, min_frequency=min_frequency)) == expected


def test_the_special_words_are_the_first_four():
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    assert vocabulary.words(range(4)) == SPECIAL
    assert [vocabulary.pad, vocabulary.start, vocabulary.end, vocabulary.unk] == [0, 1, 2, 3]
    assert len(vocabulary) == 4 + len(known(vocabulary))


def test_numbers_do_not_depend_on_the_order_of_captions():
    captions = [" ".join(random.Random(n).choices("abcdefgh", k=6)) for n in range(50)]
    expected = Vocabulary.build(captions, min_frequency=1).tokenizer.get_vocab()
    for seed in range(5):
        shuffled = random.Random(seed).sample(captions, len(captions))
        assert Vocabulary.build(shuffled, min_frequency=1).tokenizer.get_vocab() == expected


def test_a_large_vocabulary_keeps_every_word():
    captions = [f"w{number}" for number in range(31_000)]
    assert len(Vocabulary.build(captions, min_frequency=1)) == 31_004


@pytest.mark.parametrize("captions", [[], [""], ["rare words only"], ["!!! ... ???"] * 9])
def test_captions_without_a_frequent_word_are_refused(captions):
    with pytest.raises(DataError, match=r"No word occurs 5 times .*; lower data\.min_frequency"):
        Vocabulary.build(captions)


def test_flickr8k_has_2537_words(shared):
    data = open_dataset(str(shared / "flickr8k" / "dataset_flickr8k.json"))
    captions = [caption for example in data.split("train") for caption in example.captions]
    assert len(captions) == 30_000
    assert len(Vocabulary.build(captions)) == 2_537 + 4


# --- captions to numbers and back


def test_a_caption_is_framed_and_unknown_words_are_marked():
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=2)
    numbers = vocabulary.encode("A dog barks.")
    assert vocabulary.words(numbers) == ["<start>", "a", "dog", "<unk>", "<end>"]


@given(st.lists(st.sampled_from(["a", "dog", "runs", "the", "big", "one", "two", "cat"])))
def test_known_words_go_there_and_back(words):
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    numbers = vocabulary.encode(" ".join(words))
    assert vocabulary.words(numbers) == ["<start>", *words, "<end>"]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ('?!... ,;:"()', []),
        ("Don't stop", ["don't", "stop"]),
        ("a T-shirt", ["a", "t-shirt"]),
        ("a dog/cat,bird", ["a", "dog", "cat", "bird"]),
        ("CAFÉ", ["café"]),
        ("cafe\u0301", ["café"]),
        ("straße über 東京", ["straße", "über", "東京"]),
        ("two\u00a0dogs\u2028run", ["two", "dogs", "run"]),
        ("a 🐶 dog", ["a", "dog"]),
    ],
)
def test_captions_become_these_words(caption, words):
    everything = "don't stop a t-shirt dog cat bird café straße über 東京 two dogs run"
    vocabulary = Vocabulary.build([everything], min_frequency=1)
    assert vocabulary.words(vocabulary.encode(caption)) == ["<start>", *words, "<end>"]


@given(st.text())
def test_whatever_is_written_is_framed_once(caption):
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    start, *words, end = vocabulary.encode(caption)
    assert (start, end) == (vocabulary.start, vocabulary.end)
    assert not {vocabulary.pad, vocabulary.start, vocabulary.end} & set(words)


def test_special_words_that_people_write_are_ordinary_ones():
    vocabulary = Vocabulary.build(["the <end> of a <start>"], min_frequency=1)
    numbers = vocabulary.encode("the <end> of a <pad> <start>")
    words = ["<start>", "the", "end", "of", "a", "<unk>", "start", "<end>"]
    assert vocabulary.words(numbers) == words


def test_long_captions_are_cut_and_still_end():
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    numbers = vocabulary.encode("a dog " * 40, max_words=3)
    assert vocabulary.words(numbers) == ["<start>", "a", "dog", "a", "<end>"]
    assert len(vocabulary.encode("a dog " * 40)) == 52


def test_a_number_beyond_the_vocabulary_is_unknown():
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    assert vocabulary.words([len(vocabulary) + 7]) == ["<unk>"]


# --- on disk


def test_saved_and_loaded_a_vocabulary_is_the_same(tmp_path):
    vocabulary = Vocabulary.build([*CAPTIONS, "café"], min_frequency=1)
    vocabulary.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert loaded.tokenizer.get_vocab() == vocabulary.tokenizer.get_vocab()
    for caption in (*CAPTIONS, "CAFE\u0301 <end> of"):
        assert loaded.encode(caption) == vocabulary.encode(caption)


def test_hugging_face_tokenizers_reads_the_file(tmp_path):
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    vocabulary.save(tmp_path / "tokenizer.json")
    tokens = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("A big dog!").tokens
    assert tokens == ["a", "big", "dog"]


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    Vocabulary.build(CAPTIONS, min_frequency=1).save(path)
    whole = path.read_text()
    for content in (whole[: len(whole) // 2], "", "{}", "[1, 2]"):
        path.write_text(content)
        with pytest.raises(ModelError, match=r"is not a tokenizer: |cannot be read: "):
            Vocabulary.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read: 'utf-8' codec can't decode"):
        Vocabulary.load(path)
    with pytest.raises(ModelError, match=r"gone\.json cannot be read \(No such file"):
        Vocabulary.load(tmp_path / "gone.json")


def test_somebody_elses_tokenizer_is_refused(tmp_path):
    foreign = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1}, unk_token="[UNK]"))
    foreign.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"first four words are \('\[UNK\]', 'the'\)"):
        Vocabulary.load(tmp_path / "tokenizer.json")


def test_the_file_is_readable_json_with_the_words_in_it(tmp_path):
    vocabulary = Vocabulary.build(CAPTIONS, min_frequency=1)
    vocabulary.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["model"]["vocab"] == vocabulary.tokenizer.get_vocab()


# --- apostrophes and hyphens that are typed otherwise


@pytest.mark.parametrize("mark", "'`\u0092\u00b4\u02bc\u2018\u2019\u201b\u2032\uff07")
def test_every_apostrophe_within_a_word_is_the_plain_one(mark):
    caption = f"A man{mark}s dog isn{mark}t at 5 o{mark}clock, rock{mark}n{mark}roll, 1980{mark}s"
    vocabulary = Vocabulary.build([caption.replace(mark, "'")], min_frequency=1)
    words = ["a", "man's", "dog", "isn't", "at", "5", "o'clock", "rock'n'roll", "1980's"]
    assert vocabulary.words(vocabulary.encode(caption))[1:-1] == words


@pytest.mark.parametrize("mark", "-\u2010\u2011\u058a")
def test_every_hyphen_within_a_word_is_the_plain_one(mark):
    caption = f"A T{mark}shirt of a 2{mark}year{mark}old"
    vocabulary = Vocabulary.build([caption.replace(mark, "-")], min_frequency=1)
    words = ["a", "t-shirt", "of", "a", "2-year-old"]
    assert vocabulary.words(vocabulary.encode(caption))[1:-1] == words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a \u2018big\u2019 dog", ["a", "big", "dog"]),
        ("two dogs\u2019 bowl", ["two", "dogs", "bowl"]),
        ("a big\u2013dog", ["a", "big", "dog"]),
        ("a mo\u00adtor", ["a", "motor"]),
        ("狗\u2019大", ["狗", "大"]),
    ],
)
def test_quotation_marks_and_dashes_are_none_and_soft_hyphens_nothing(caption, words):
    vocabulary = Vocabulary.build(["a big dog two dogs bowl motor 狗 大"], min_frequency=1)
    assert vocabulary.words(vocabulary.encode(caption))[1:-1] == words


@pytest.mark.parametrize("word", ["man?s", "isn?t", "we?re"])
def test_the_scores_keep_the_words_that_are_kept(word):
    for mark in "\u2019\u0092":
        text = word.replace("?", mark)
        vocabulary = Vocabulary.build([text], min_frequency=1)
        [kept] = vocabulary.words(vocabulary.encode(text))[1:-1]
        assert ptb_tokenize(kept) == ptb_tokenize(text.replace(mark, "'"))


def test_the_shipped_vocabulary_is_as_it_was():
    file = shipped_models()[0] / "tokenizer.json"
    rules = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = Vocabulary.load(file)
    assert json.loads(vocabulary.tokenizer.to_str())["normalizer"] == rules["normalizer"]
    assert vocabulary.spaced
    assert vocabulary.join(["a", "dog"]) == "a dog"
    text = "a man \u2019s dog"
    assert vocabulary.split(text) is text


# --- languages without spaces


CHARACTERS = [
    (
        "一只狗，12个iPhone 15 Pro手机",
        "一 只 狗 12 个 iphone 15 pro 手 机",
        "一只狗12个iphone 15 pro手机",
    ),
    (
        "犬がスケート。",
        "犬 が ス ケ ー ト",
        None,
    ),
    ("ที่นี่", "ที่ นี่", None),
    ("ខ្មែរ", "ខ្ មែ រ", None),
    ("\U00020000一", "\U00020000 一", None),
    ("A man\u2019s T-shirt", "a man's t-shirt", "a man's t-shirt"),
    ("개가 달린다", "개가 달린다", None),
]


@pytest.mark.parametrize(("caption", "words", "text"), CHARACTERS)
def test_characters_are_split_and_joined_and_other_words_stay_whole(caption, words, text, tmp_path):
    Vocabulary.build([caption], min_frequency=1, kind="characters").save(tmp_path / "t.json")
    vocabulary = Vocabulary.load(tmp_path / "t.json")  # all is known from the file
    found = vocabulary.words(vocabulary.encode(caption))[1:-1]
    assert found == words.split()
    assert vocabulary.split(caption) == words
    joined = vocabulary.join(found)
    assert joined == (text or caption.rstrip("。"))
    assert joined == Tokenizer.from_file(str(tmp_path / "t.json")).decoder.decode(found)
    assert vocabulary.words(vocabulary.encode(joined))[1:-1] == found


def test_a_pattern_says_what_a_word_is():
    vocabulary = Vocabulary.build(["A dog, a cat."], min_frequency=1, pattern="[a-z]+|[.,]")
    words = vocabulary.words(vocabulary.encode("A cat, a DOG!."))[1:-1]
    assert words == ["a", "cat", ",", "a", "dog", "."]


@pytest.mark.parametrize("pattern", ["[", "(", "*"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(UsageError, match=r"words\.pattern is .*, which is no regular expression"):
        Vocabulary.build(["a dog"], min_frequency=1, pattern=pattern)
