"""Unspaced scripts: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

Their letters are given as ranges, which every library of regular expressions understands.
"""

import re
from collections.abc import Iterable

__all__ = ["BESIDE_UNSPACED", "UNSPACED", "looks_unspaced", "unspaced_share"]

_THAI_LAO = "\u0e00-\u0eff"
_BURMESE = "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"
_KHMER = "\u1780-\u17ff"
_KANA = "\u3031-\u3035\u3041-\u312f\u31f0-\u31ff\uff66-\uff9f"
_HAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"
)

UNSPACED = _THAI_LAO + _BURMESE + _KHMER + _KANA + _HAN
"""The inside of a character class: the letters of these scripts, marks and digits among them."""

BESIDE_UNSPACED = f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])"
"""A space beside such a letter."""

MANY = 0.3  # of the letters of captions, from which on a sentence is said
_RUN = re.compile(f"[{UNSPACED}]+")
_HAN_LETTER = re.compile(f"[{_HAN}]")


def unspaced_share(captions: Iterable[str]) -> float:
    """Return the share of letters that stand in runs of these scripts, longer than words are.

    Text between whose words somebody has put spaces is not meant.

    >>> unspaced_share(["一只黑色的狗"]), unspaced_share(["一只 黑色 的 狗"])
    (1.0, 0.0)
    """
    letters = long = 0
    for caption in captions:
        letters += sum(map(str.isalpha, caption))
        for run in _RUN.findall(caption):
            longest_word = 3 if _HAN_LETTER.search(run) else 8
            if len(run) > longest_word:
                long += sum(map(str.isalpha, run))
    return long / letters if letters else 0.0


def looks_unspaced(captions: Iterable[str]) -> str | None:
    """Return a sentence about captions without spaces between words, None about others."""
    share = unspaced_share(captions)
    if share < MANY:
        return None
    return (
        f"{share:.0%} of the captions' letters are written without spaces between words, as in "
        "Chinese, Japanese, Thai, Lao, Khmer and Burmese, and each caption would be one word or a "
        "few; train with words.tokenizer=characters"
    )
