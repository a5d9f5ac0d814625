"""The trees of source files in the documentation: complete, current, one line for each file."""

import doctest
import re

import pytest


@pytest.fixture
def tree(tool):
    return tool("tree")


def test_the_trees_in_the_documentation_are_up_to_date(tree):
    for name, depth in tree.PAGES.items():
        page = (tree.ROOT / name).read_text(encoding="utf-8")
        assert tree.with_tree(page, depth) == page, f"{name}: run `python tools/tree.py`"


def test_every_module_has_a_line_with_a_description_that_fits(tree):
    lines = tree.tree(tree.SOURCE).splitlines()[1:]
    paths = [p for p in tree.SOURCE.rglob("*.py") if p.name not in ("__init__.py", "__main__.py")]
    packages = list(tree.SOURCE.glob("*/**/__init__.py"))
    assert len(lines) == len(paths) + len(packages)
    for line in lines:
        assert len(line) <= tree.WIDTH
        assert re.fullmatch(r" +\S+  +\S.*", line), f"{line.strip()} has no docstring"


def test_the_tree_of_the_first_page_has_no_files_inside_packages(tree):
    lines = tree.tree(tree.SOURCE, depth=1).splitlines()[1:]
    assert all(re.match(r"  \S", line) for line in lines)
    assert any(line.startswith("  decoders/ ") for line in lines)


def test_a_page_without_a_mark_is_left_alone_and_an_old_tree_is_replaced(tree):
    assert tree.with_tree("no mark", None) == "no mark"
    old = "before\n<!-- tree: x -->\noutdated\n<!-- /tree -->\nafter"
    new = tree.with_tree(old, 1)
    assert "outdated" not in new
    assert new.startswith("before\n<!-- tree: x -->\n\n```text\ncutline/\n")
    assert new.endswith("```\n\n<!-- /tree -->\nafter")


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("The LSTM cell.", "The LSTM cell"),
        ("The LSTM cell.\n\nIts equations.", "The LSTM cell"),
        ("A line that goes\non to a second one.", "A line that goes on to a second one"),
        ("Beam search over a batch. Each image has K slots, and more.", "Beam search over a batch"),
        (
            "Scores, e.g. BLEU, over many pictures of all",
            "Scores, e.g. BLEU, over many ...",
        ),
        ("", ""),
    ],
)
def test_a_docstring_is_cut_at_its_first_sentence_then_at_a_word(tree, docstring, shown):
    assert tree.description(docstring, 40) == shown


def test_the_examples_of_the_tool_are_true(tree):
    assert doctest.testmod(tree).failed == 0
