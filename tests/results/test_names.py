"""Names of any bytes, as text and back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.files import printable
from cutline.results.names import CELL, LINE, json_text

# what an escape is made of, and what is escaped, rather than any letter of any script
NAMES = st.text(
    st.sampled_from('\\\\\\tnrxuU01dcf\t\n\r\x0b\x1b\x85\u2028\u202e\udcff\U000e0001 \u718a,"')
)


@settings(max_examples=60)
@given(NAMES)
def test_every_name_can_be_read_back(name):
    assert LINE.unescape(LINE.escape(name)) == name
    assert CELL.unescape(CELL.escape(name)) == name
    assert json.loads(json_text(name)) == name


@settings(max_examples=60)
@given(NAMES, NAMES)
def test_different_names_are_written_differently(one, other):
    for escapes in (LINE, CELL):
        assert (one == other) == (escapes.escape(one) == escapes.escape(other))


@settings(max_examples=60)
@given(NAMES)
def test_no_line_holds_what_a_terminal_obeys(name):
    for text in (LINE.escape(name), json_text(name)):
        assert printable(text) == text
        assert len(text.splitlines()) <= 1


@pytest.mark.parametrize(
    ("name", "line", "cell"),
    [
        ("back\\slash\\", "back\\slash\\", "back\\slash\\"),
        ("C:\\temp", "C:\\\\temp", "C:\\temp"),
        ("a\tb", "a\\tb", "a\tb"),
        ("\udcff", "\\udcff", "\\udcff"),
        ("\\udcff", "\\\\udcff", "\\\\udcff"),
        ("\x1b[2J", "\\x1b[2J", "\\x1b[2J"),
    ],
)
def test_only_what_must_be_is_escaped(name, line, cell):
    assert (LINE.escape(name), CELL.escape(name)) == (line, cell)
