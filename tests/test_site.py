"""The documentation as a site: its navigation, its search, its first page, glossary and log."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def pages(nav: Any) -> list[str]:
    """Return the files of a navigation, however deep they are."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages(entry)]


def test_every_page_is_in_the_navigation_once():
    files = {path.name for path in DOCS.glob("*.md")} | {"lesson.ipynb"}
    assert sorted(pages(SITE["nav"])) == sorted(files)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training.batch_size=32", ["training", "batch", "size", "32"]),
        ("`--length-penalty`", ["length", "penalty"]),
        ("cutline.functional.rnn_step(x, h)", ["cutline", "functional", "rnn", "step", "x", "h"]),
        ("CIDEr 0.501", ["CIDEr", "0.501"]),
    ],
)
def test_the_search_finds_the_parts_of_a_name_and_whole_numbers(text, words):
    (search,) = (plugin["search"] for plugin in SITE["plugins"] if "search" in plugin)
    assert [word for word in re.split(search["separator"], text) if word] == words


def test_the_first_page_opens_three_doors_that_run():
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    doors = re.findall(r"^- \*\*\[(.*?)\]\(#(.*?)\)\*\*", page, re.MULTILINE)
    assert len(doors) == 3
    for title, anchor in doors:
        assert anchor == title.lower().replace(" ", "-")
        section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        assert re.search(r"^```(bash|python)\n", section, re.MULTILINE)


def test_every_term_of_the_glossary_has_a_heading_and_a_text():
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^### (.+)\n\n(.+)", glossary, re.MULTILINE)
    assert len(terms) == glossary.count("\n### ") > 40
    assert len({term for term, _ in terms}) == len(terms)


def test_every_entry_of_the_log_has_a_date_and_a_verdict_newest_first():
    log = (DOCS / "log.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", log, re.MULTILINE)
    dates = [re.fullmatch(r"(\d{4}-\d\d-\d\d)(?::| —) \S.{15,}", heading) for heading in headings]
    assert all(dates), [h for h, date in zip(headings, dates, strict=True) if not date]
    found = [date[1] for date in dates if date]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/captioners.md", "CONTRIBUTING.md"])
def test_every_file_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text))
    invented = {"src/cutline/decoders/mine.py"}  # the example of CONTRIBUTING
    places = (ROOT, ROOT / "src" / "cutline")
    missing = {name for name in named - invented if not any((p / name).is_file() for p in places)}
    assert missing == set()
