"""Penn Treebank tokenizer, as the reference COCO evaluation uses it.

That pipeline runs the Penn Treebank tokenizer of Stanford CoreNLP 3.4.1 with `-preserveLines
-lowerCase` and drops punctuation. This module gives the same words without Java.

One caption is one line: a line separator inside it is white space, and no caption is read
together with the next one.
"""

import re
from functools import cache, lru_cache

from cutline.metrics.ptb_rules import RULES

__all__ = ["ptb_tokenize"]

# Compared after lower-casing, as the reference does, so the brackets -lrb- and -rrb- stay.
QUOTES = ("''", "'", "``", "`")
BRACKETS = ("-LRB-", "-RRB-", "-LCB-", "-RCB-")
PUNCTUATION = frozenset([*QUOTES, *BRACKETS, *".?!,:-;", "--", "...", ""])

_LINE_SEPARATORS = re.compile("[\n\r\v\f\u0085\u2028\u2029]")
_BLANK = re.compile("[\\x00-\\x20\x7f]+")

# A piece between spaces that can be read alone. Fractions, telephone numbers, tags, initials
# before a new sentence and spaced dots reach over a space, so these pieces are read in place.
_ALONE = re.compile(r"[^\d<.]*+(?:(?<=[A-Za-z]{2})\.)?")


def ptb_tokenize(text: str) -> list[str]:
    """Split a caption into lower-case words, without punctuation.

    A mixed fraction or telephone number is one token with a no-break space inside.

    >>> ptb_tokenize("It's a dog, isn't it?")
    ['it', "'s", 'a', 'dog', 'is', "n't", 'it']
    """
    text = _LINE_SEPARATORS.sub(" ", text)
    pieces = text.split(" ")
    if all(map(_ALONE.fullmatch, pieces)):
        return [word for piece in pieces for word in _words_of_piece(piece)]
    return _words(text)


@lru_cache(maxsize=1 << 16)
def _words_of_piece(piece: str) -> tuple[str, ...]:
    return tuple(_words(piece))


def _words(text: str) -> list[str]:
    """Apply the rules from left to right; a character that none of them knows is passed over."""
    text += "\n"  # some rules ask what follows, and a caption is followed by a line end
    words: list[str] = []
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
            continue
        token, position = _longest(text, position)
        if token not in PUNCTUATION:
            words.append(token)
    return words


def _longest(text: str, position: int) -> tuple[str, int]:
    """Return the token at `position`, lower-cased, and where it ends."""
    match = _lexer().match(text, position)
    assert match is not None
    spans = match.regs
    best = max(range(2, len(spans), 2), key=lambda group: spans[group][1])
    if spans[best][1] < 0:
        return "", position + 1
    end = spans[best - 1][1]
    token, write = text[position:end], RULES[best // 2 - 1].write
    token = write if isinstance(write, str) else write(token)
    return token.lower(), end


@cache
def _lexer() -> re.Pattern[str]:
    """Try all rules at once. Each has two groups: its token, and the end of what follows it."""
    return re.compile("".join(f"(?=({rule.token})(?:{rule.follow})()|)" for rule in RULES))
