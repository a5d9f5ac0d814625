"""A page stands alone: no other file, no network, and its words are text, never markup."""

import io
import re
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cutline.data.scenes import Scene, captions, draw
from cutline.errors import UsageError
from cutline.explain import ReportEntry, explain_html, write_report

VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """The elements of a page; fails on one that is closed wrongly or left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a class."""
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]


@pytest.fixture
def page(say, photo, tmp_path):
    def build(text: str, **options: object) -> tuple[Page, str]:
        explain_html(photo, say(text, **options), tmp_path / "x.html", overwrite=True)
        html = (tmp_path / "x.html").read_text(encoding="utf-8")
        return Page(html), html

    return build


def assert_self_contained(html: str) -> None:
    assert not re.search(r"https?:|//\w+\.\w", html)
    assert "@import" not in html
    addresses = re.findall(r"""(?:src|href)="([^"]*)"|url\(([^)]*)\)""", html)
    assert addresses
    assert all((src or url).startswith("data:") for src, url in addresses)


# --- one picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 12])
def test_there_is_a_button_a_veil_and_a_panel_for_each_word(count, page):
    parsed, _ = page("dog " * count)
    assert len(parsed.of("word")) == count
    assert len(parsed.of("panel")) == count
    assert len(parsed.of("veil")) == 2 * count


def test_a_page_needs_nothing_but_itself(page):
    _, html = page("a dog", sentinel=0.5)
    assert_self_contained(html)
    assert "default-src 'none'" in html


def test_words_are_text_and_never_markup(page):
    parsed, html = page("""<script>alert(1)</script> "quoted" & $style it's""")
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    assert "<script>alert" not in html
    assert '"quoted"' in parsed.text
    assert "$style" in parsed.text
    assert parsed.of("word")[0]["data-note"].startswith("<script>alert(1)</script>: ")


def test_the_title_is_text_too(say, photo, tmp_path):
    explain_html(photo, say("dog"), tmp_path / "x.html", title="</title><b>")
    assert "&lt;/title&gt;&lt;b&gt;" in (tmp_path / "x.html").read_text()


def test_each_word_says_its_probability_and_memory(page):
    parsed, _ = page("dog", sentinel=0.25)
    (word,) = parsed.of("word")
    assert word["aria-label"] == "dog: probability 50%, memory 25%"
    assert "--p:50.0%" in word["style"]


def test_the_memory_of_each_word_is_a_point_of_a_curve(page):
    parsed, html = page("a <b> dog", sentinel=[0.0, 1.0, 0.25])
    heights = [re.search(r"top:([\d.]+)%", point["style"])[1] for point in parsed.of("point")]
    assert heights == ["100.0", "0.0", "75.0"]
    assert '<polyline points="0.5,1.0000 1.5,0.0000 2.5,0.7500"/>' in html
    (figure,) = parsed.of("memory")
    assert figure["aria-label"] == "Memory, word by word: a 0%, <b> 100%, dog 25%"


@pytest.mark.parametrize(("text", "sentinel"), [("a dog", None), ("", 0.5)])
def test_without_memory_or_words_there_is_no_curve(text, sentinel, page):
    parsed, _ = page(text, sentinel=sentinel)
    assert not parsed.of("memory")


def test_the_picture_is_described(page):
    parsed, _ = page("a brown dog")
    (image,) = (attributes for tag, attributes in parsed.elements if tag == "img")
    assert image["alt"] == "The picture, captioned: a brown dog"
    assert parsed.of("panel")[2]["aria-label"] == "Where it looked for “dog”"


def test_a_veil_is_clear_where_the_captioner_looked(page):
    _, html = page("dog")
    (encoded,) = re.findall(r"--look-0:url\(data:image/png;base64,([^)]*)\)", html)
    alpha = np.asarray(Image.open(io.BytesIO(b64decode(encoded))))[:, :, 1]
    assert alpha[0, 0] == 0
    assert alpha[-1, -1] == 255


def test_an_empty_caption_says_so(page):
    parsed, _ = page("")
    assert "(no words)" in parsed.text
    assert not parsed.of("play")


def test_captioners_are_cards_of_one_page_with_their_names(say, photo, tmp_path):
    captions = {"soft": say("a <b> dog"), "runs/<nic>": say("a cat", attends=False)}
    explain_html(photo, captions, tmp_path / "x.html")
    html = (tmp_path / "x.html").read_text(encoding="utf-8")
    parsed = Page(html)
    assert_self_contained(html)
    assert len(parsed.of("card")) == 2
    assert len(parsed.of("word")) == 5
    assert len(parsed.of("panel")) == 3
    assert "runs/<nic>" in parsed.text
    assert "does not attend" in parsed.text


def test_the_page_of_a_captioner_that_does_not_attend_says_nothing_of_looking(page):
    parsed, html = page("a dog", attends=False)
    assert "does not attend" in parsed.text
    assert "looked" not in parsed.text.split("import")[0].partition("//")[0]
    assert "<title>The caption, word by word</title>" in html


# --- a report ------------------------------------------------------------------------------------


def report(entries, tmp_path, **summary):
    write_report(entries, tmp_path / "r.html", title="Scenes", summary=summary, overwrite=True)
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    return Page(html), html


def test_a_report_of_twenty_four_scenes_is_small_and_stands_alone(say, tmp_path):
    scenes = [Scene.from_seed(seed) for seed in range(24)]
    entries = [ReportEntry(draw(s, 64), say(captions(s)[0]), captions(s)) for s in scenes]
    parsed, html = report(entries, tmp_path, CIDEr="1.2")
    assert len(parsed.of("card")) == 24
    assert len(html) < 3_000_000
    assert_self_contained(html)


def test_a_report_shows_scores_references_and_badges(say, photo, tmp_path):
    entry = ReportEntry(photo, say("a cat"), ["a <dog>", "one dog"], "false: it is a dog", False)
    parsed, _ = report([entry], tmp_path, CIDEr="1.23")
    for part in ("CIDEr", "1.23", "a <dog>", "one dog"):
        assert part in parsed.text
    assert "✗ false: it is a dog" in parsed.text
    assert len(parsed.of("bad")) == 1


@pytest.mark.parametrize(("good", "kind"), [(True, "good"), (False, "bad"), (None, "plain")])
def test_a_badge_is_good_bad_or_neither(good, kind, say, photo, tmp_path):
    parsed, _ = report([ReportEntry(photo, say("cat"), badge="so", good=good)], tmp_path)
    assert parsed.of("badge")[0]["class"] == f"badge {kind}"


def test_a_captioner_that_does_not_attend_is_reported_without_veils(say, photo, tmp_path):
    parsed, _ = report([ReportEntry(photo, say("a dog", attends=False))], tmp_path)
    assert len(parsed.of("word")) == 2
    assert not parsed.of("veil")
    assert not parsed.of("play")
    assert "does not attend" in parsed.text


def test_a_report_of_nothing_is_a_page(tmp_path):
    parsed, _ = report([], tmp_path)
    assert "Scenes" in parsed.text


def test_a_report_is_not_overwritten_unasked(tmp_path):
    (tmp_path / "r.html").touch()
    with pytest.raises(
        UsageError, match=r"r\.html exists and is not overwritten; give another name"
    ):
        write_report([], tmp_path / "r.html", title="x", summary={})
