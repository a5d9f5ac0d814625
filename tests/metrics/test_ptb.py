"""The tokenizer against CoreNLP 3.4.1: what Java wrote for these captions is the expectation."""

import json
from pathlib import Path
from time import perf_counter

import pytest

from cutline.metrics import ptb, ptb_tokenize
from cutline.metrics.ptb_rules import RULES

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference_scores"
TOKENIZED = ("fakecap251", "flickr30k_test__A")

# Captions that we wrote, and the words that the Java program made of them.
CASES = [
    # contractions
    ("Don't; DON'T, don’t and don`t.", "do n't do n't do n't and do n`t"),
    ("It can’t and he'll, she'd, we've, IT'S.", "it ca n't and he 'll she 'd we 've it 's"),
    ("You cannot; CANNOT; cannots.", "you can not can not cannots"),
    ("I'm gonna, wanna, gotta, lemme, gimme.", "i 'm gon na wan na got ta lem me gim me"),
    ("'Tis and 'twas, but ’tis and 'twere.", "'t is and 't was but tis and twere"),
    (
        "y'all, Y'all, ma'am, o'clock, rock 'n' roll, ol' dog",
        "y' all y' all ma'am o'clock rock 'n' roll ol' dog",
    ),
    (
        "an ev'ry-day Hallowe'en s'more, s'mores, li'l bit",
        "an ev'ry day hallowe'en s more s'mores li'l bit",
    ),
    ("the dogs' house, the dog's, dogs's", "the dogs house the dog 's dogs 's"),
    ("O'Neil, D'Amico, I'Anson, a'bcd", "o'neil d'amico i anson a bcd"),
    ("l'eau, j'aime, d'ye, c'est la vie", "l'eau j' aime d'ye c'est la vie"),
    # abbreviations
    ("Mr. Fox and mrs. fox of St. Mary's Ave.", "mr. fox and mrs. fox of st. mary 's ave."),
    ("pa. and Pa., la. and La., ill. and Ill.", "pa and pa. la and la. ill and ill."),
    ("approx. ten lb. of fish vs. 5 oz. etc.", "approx ten lb of fish vs. 5 oz etc."),
    ("a.m. and P.M. in the u.s. or U.S.A.", "a.m. and p.m. in the u.s. or u.s.a."),
    (
        "No. 5, no. 5, fig. 3, pp. 3 but no. five, vol. 5",
        "no. 5 no. 5 fig. 3 pp. 3 but no five vol 5",
    ),
    ("plan B. The dog", "plan b the dog"),
    ("plan B. the dog", "plan b. the dog"),
    ("plan B. THE dog and plan C. Dogs", "plan b the dog and plan c. dogs"),
    ("Ph.D. and M.D. and B.Sc. students", "ph.d. and m.d. and b.sc students"),
    ("Inc.c Inc.co Mr.c", "inc. c inc.co mr.c"),
    # numbers
    ("1 1/2 cups, 1½ cups, ½ cup, ⅛ cup", "1\xa01/2 cups 1 1/2 cups 1/2 cup ⅛ cup"),
    (
        "call (415) 555-1212 or 415.555.1212 or 555-1212",
        "call -lrb-415-rrb-\xa0555-1212 or 415.555.1212 or 555-1212",
    ),
    ("1,000 and 12,34 and .5 and 5. and 1.000,5", "1,000 and 12,34 and .5 and 5 and 1.000,5"),
    ("10:30am, 10:30:20, 12/25/2010, 12-25-2010", "10:30 am 10:30:20 12/25/2010 12-25-2010"),
    ("$5, US$5, us$5, £5, €5, ¥5, 5¢, 50%, #5", "$ 5 us$ 5 us $ 5 # 5 $ 5 ¥ 5 5 cents 50 % # 5"),
    ("50's, 1980's, '80s, the 80s, '9, '95", "50 's 1980 's '80s the 80s 9 '95"),
    ("5'6\" tall, 3.5mm, 6ft, 1st, 3-D, 4x4, 10°C", "5 6 tall 3.5 mm 6ft 1st 3-d 4x4 10 ° c"),
    ("-5, +5, 1+1, 3-4, 5-foot-tall", "-5 +5 1 +1 3-4 5-foot-tall"),
    ("x², H₂O, 10²", "x ² h ₂ o 10 ²"),
    ("¼ cup and ¾ cup, ⅓ cup, ⅔ cup", "1/4 cup and 3/4 cup 1/3 cup 2/3 cup"),
    (
        "a 1.5-liter bottle, U.S.-made bus, non-U.S. team",
        "a 1.5-liter bottle u.s.-made bus non-u.s. team",
    ),
    ("an S&P-500 chart and S&Ls, s&amp;p-500", "an s&p-500 chart and s&ls s&p-500"),
    # marks
    ("wait... what.... no..... yes ......", "wait what no yes"),
    ("a . . . b . . . . . . . c", "a b c"),
    ("a - b -- c --- d ---- e ----- f", "a b c d e ----- f"),
    ("a — b – c ‒ d", "a b c d"),
    ("hello!!! what?! ?? a!b", "hello !!! what ?! ?? a!b"),
    ("(a) [b] {c} -LRB- -lsb-", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb- -lrb- -lsb-"),
    ("\"a\" ``b'' “c” ‘d’ «e» ‹f›", "a b c d’ e f"),
    ("’” “‘ „x‟", "''' ``` „ x ‟"),
    ("smile :) :-( ;D :'( ^_^ -_- <3 (:", "smile :-rrb- :--lrb- ;d :'-lrb- ^_^ -_- < 3 -lrb-"),
    ("a_b _ __ a_ _b @ @@ ## *** \\*", "a_b _ __ a _ _ b @ @@ ## *** \\*"),
    ("a & b, A&B, a&b, AT&amp;T, x &lt; y, a&nbsp;b", "a & b a&b a & b at&t x < y a b"),
    ("and/or, w/o, w/ salt, a/b/c/d, he/she/it", "and/or w/o w / salt a/b/c / d he/she/it"),
    # web
    ("see www.foo.com, http://foo.com/x?y=1.", "see www.foo.com http://foo.com/x?y=1"),
    ("mail a@b.com, tag #dog1 by @me_1", "mail a@b.com, tag #dog 1 by @me_1"),
    (
        "foo.com Foo.org 1.jpg photo.JPG my-file.html",
        "foo.com foo.org 1.jpg photo.jpg my-file html",
    ),
    ('a <b>bold</b> <unk> < 5 <a href="x"> <3', 'a <b> bold </b> <unk> < 5 <a\xa0href="x"> < 3'),
    ("see www.dogs-and-cats.org/red_bus-5 now", "see www.dogs-and-cats.org/red_bus-5 now"),
    ("a sign says dogs_-and.com, or _-x.org/cat", "a sign says dogs _ and.com or _ x.org/cat"),
    ("a &#39; dog &lr; cat &#160; x", "a &#39; dog &lr; cat &#160; x"),
    ("a &quot;red&quot; bus and a &QUOT;blue&QUOT; one", "a red bus and a &quot; blue &quot; one"),
    ("a << b >> c <<< d >>>>", "a << b >> c << < d >> >>"),
    ("’sa ’mb ’veil", "'s a 'm b 've il"),
    ("C++ and C# and F# and D#", "c++ and c# and f# and d #"),
    # characters
    ("café naïve 日本 Ünïté", "café naïve 日本 ünïté"),
    ("soft\xadhyphen zero\u200bwidth e\u0301a", "softhyphen zero width e\u0301a"),
    ("a 😀 dog🎉cat 𝒜", "a dog cat"),
    ("a\xa0dog\u2003and\u3000a cat", "a dog and a cat"),
    ("a\x09dog\x01and\x7fa cat", "a dog and a cat"),
    ("™ © ® ° • → ★", "™ © ® ° • → ★"),
    # degenerate
    ("", ""),
    (" ", ""),
    (".", ""),
    ("...", ""),
    ("'", ""),
    ("\u3000", ""),
    ("😀", ""),
]


def disagreements(inputs: dict, expected: dict) -> list[tuple[str, str]]:
    """Captions of a reference file whose words differ from the expected ones."""
    pairs = []
    for image in expected["keys"]:
        texts = [*inputs[image]["refs"], inputs[image]["hyp"]]
        words = [*expected["tokenized_refs"][image], expected["tokenized_hyps"][image]]
        pairs += zip(texts, words, strict=True)
    return [(text, words) for text, words in pairs if " ".join(ptb_tokenize(text)) != words]


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("caption", "words"), CASES)
def test_words_are_those_of_the_java_program(caption: str, words: str):
    assert " ".join(ptb_tokenize(caption)) == words


@pytest.mark.parametrize("case", json.loads((FIXTURES / "tokenizer_cases.json").read_text("utf-8")))
def test_every_tokenizer_case_of_the_reference_agrees(case: dict):
    assert " ".join(ptb_tokenize(case["caption"])) == case["coco_string"]


def test_every_rule_decides_a_word_of_some_caption(monkeypatch):
    longest, used = ptb._longest, set()

    def noted(text: str, position: int) -> tuple[str, int]:
        spans = ptb._lexer().match(text, position).regs
        used.add(max(range(2, len(spans), 2), key=lambda group: spans[group][1]) // 2 - 1)
        return longest(text, position)

    monkeypatch.setattr(ptb, "_longest", noted)
    written = [row["hyp"] for row in read(FIXTURES / "synthetic.json").values()]
    cases = json.loads((FIXTURES / "tokenizer_cases.json").read_text("utf-8"))
    for caption in [*(c for c, _ in CASES), *(case["caption"] for case in cases), *written]:
        ptb._words(caption)
    assert [rule for number, rule in enumerate(RULES) if number not in used] == []


def test_every_self_written_caption_agrees():
    inputs, expected = (read(FIXTURES / f"synthetic{end}.json") for end in ("", ".expected"))
    assert disagreements(inputs, expected) == []


@pytest.mark.parametrize("name", TOKENIZED)
def test_every_real_caption_agrees(shared: Path, name: str):
    folder = shared / "reference-scores" / "third_party"
    inputs, expected = (read(folder / f"{name}{end}.json") for end in ("", ".expected"))
    assert disagreements(inputs, expected) == []


def test_the_published_token_count_of_the_coco_demo_is_met(shared: Path):
    folder = shared / "reference-scores" / "third_party"
    results = read(folder / "captions_val2014_fakecap_results.json")
    totals = read(folder / "fakecap_demo.expected.json")["bleu_totals"]
    lengths = [len(ptb_tokenize(result["caption"])) for result in results]
    assert sum(lengths) == totals["testlen"]
    assert [sum(max(0, k - n) for k in lengths) for n in range(4)] == totals["guess"]


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_a_line_separator_is_white_space(separator: str):
    assert ptb_tokenize(f"a red{separator}bus.{separator}") == ["a", "red", "bus"]


def test_a_lone_surrogate_is_no_word():
    assert ptb_tokenize("a \ud83d bus\udc00s") == ["a", "bus", "s"]


def test_a_piece_is_read_the_same_with_and_without_a_neighbour_that_needs_its_place():
    quick, in_place = (
        ptb_tokenize("it's the dogs' (red) bus."),
        ptb_tokenize("it's the dogs' (red) bus. 5"),
    )
    assert in_place == [*quick, "5"]


def test_the_same_caption_gives_the_same_words_twice():
    assert ptb_tokenize("The dog's.") == ptb_tokenize("The dog's.") == ["the", "dog", "'s"]


@pytest.mark.parametrize("word", ["dog", "dog,", "5", "a.b", "<b", "it's", "x@", "1,", "(", "a-"])
@pytest.mark.parametrize(("space", "times"), [(" ", 10_000), ("", 1_000)])
def test_a_very_long_caption_is_read_in_seconds(word: str, space: str, times: int):
    start = perf_counter()
    ptb_tokenize((word + space) * times)
    assert perf_counter() - start < 10
