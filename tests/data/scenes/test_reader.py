from cutline.data.scenes import Scene, captions, read
from cutline.data.scenes.reader import Among, Phrase, Place, Quality, Relation


def test_a_phrase_knows_its_words():
    reading = read("a picture of a large red circle and two stars")
    assert reading.phrases == (
        Phrase("a", "large", "red", "circle", start=3, end=7),
        Phrase("two", "", "", "star", start=8, end=10),
    )
    assert reading.facts == ()


def test_counts_are_exact_but_a_is_at_least_one():
    counts = {word: read(f"{word} circle").phrases[0].count for word in ("a", "the", "one")}
    assert counts == {"a": None, "the": 1, "one": 1}
    assert read("three circles").phrases[0].count == 3


def test_each_kind_of_fact_is_read():
    facts = {
        "a star to the left of a circle": Relation("left", subject=0, target=1),
        "there is a star below the circle": Relation("below", subject=0, target=1),
        "two stars sit in the top left corner": Place("top left", subject=0),
        "the star is near the top edge": Place("top", subject=0),
        "all three stars are small": Quality("small", subject=0),
        "two stars and one is a red star": Among(member=1, whole=0),
    }
    assert {caption: read(caption).facts[0] for caption in facts} == facts


def test_only_is_kept():
    assert read("there is only a red circle").only
    assert read("only a red circle").only
    assert not read("a red circle").only


def test_an_unreadable_caption_keeps_its_phrases_and_states_nothing():
    reading = read("large red circle above above star")
    assert not reading.readable
    assert [(phrase.noun, phrase.colour) for phrase in reading.phrases] == [
        ("circle", "red"),
        ("star", ""),
    ]
    assert reading.facts == ()


def test_no_caption_is_readable_with_a_word_dropped_doubled_or_added_where_that_breaks_grammar():
    for seed in range(300):
        for caption in captions(Scene.from_seed(seed)):
            words = caption.split()
            assert not read(f"{caption} {words[-1]}").readable
            assert not read(f"{caption} and").readable
            assert not read(f"and {caption}").readable
            assert not read(" ".join(words[:-1])).readable
            for index in range(len(words)):
                doubled = " ".join([*words[:index], words[index], *words[index:]])
                assert not read(doubled).readable, doubled
            assert not read(" ".join(reversed(words))).readable


def test_the_empty_caption_is_unreadable():
    assert read("").phrases == ()
    assert not read("").readable
    assert not read("   ").readable
