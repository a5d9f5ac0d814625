"""Tokenizers: splitting captions into words, and collecting the words (Hugging Face).

Captions are lower-cased, typographic apostrophes and hyphens within words become `'` and `-`, and
other punctuation becomes space. Where a language is written without spaces between words,
`characters` makes a word of each of its letters (with the marks on it), and leaves words and
numbers of other scripts whole.
"""

from collections.abc import Iterable
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cutline.errors import ModelError, UsageError
from cutline.unspaced import BESIDE_UNSPACED, UNSPACED
from cutline.untrusted import shortened

__all__ = ["TokenizerKind", "read_tokenizer", "train_tokenizer"]

TokenizerKind = Literal["words", "characters"]

# Within a word, as the scores' tokenizer reads them (and typists mean them); not quotation marks.
_WITHIN = rf"(?<=\w)(?<![{UNSPACED}])%s(?=\w)(?![{UNSPACED}])"
_APOSTROPHES = _WITHIN % "[`\u0091\u0092\u00b4\u02bc\u2018\u2019\u201b\u2032\uff07]"
_HYPHENS = _WITHIN % "[\u058a\u2010\u2011]"
_SOFT_HYPHEN = "\u00ad"  # shows only at the end of a line


def train_tokenizer(
    captions: Iterable[str],
    special: tuple[str, ...],
    *,
    min_frequency: int,
    kind: TokenizerKind,
    pattern: str | None,
) -> Tokenizer:
    """Collect words, the `special` ones first, the last of which stands for unknown ones."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=special[-1]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _splitting(kind, pattern)
    if kind == "characters":
        tokenizer.decoder = _joining()
    trainer = trainers.WordLevelTrainer(
        vocab_size=2**31,  # its default would drop words past the first 30,000
        min_frequency=min_frequency,
        special_tokens=list(special),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return tokenizer


def read_tokenizer(text: str) -> Tokenizer:
    """Make a tokenizer of the text of a `tokenizer.json`; what is none is a `ModelError`."""
    try:
        tokenizer = Tokenizer.from_str(text)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # bare Exception, and Rust's panics
        raise ModelError(f"tokenizer.json is not a tokenizer: {shortened(error)}.") from None
    tokenizer.encode_special_tokens = True  # a person's `<end>` is the word, not the sign
    return tokenizer


def _splitting(kind: TokenizerKind, pattern: str | None) -> tuple[Any, Any]:
    """Return what makes letters alike, and what splits a caption into words."""
    alike = [
        normalizers.NFC(),
        normalizers.Lowercase(),
        normalizers.Replace(_SOFT_HYPHEN, ""),
        normalizers.Replace(Regex(_APOSTROPHES), "'"),
        normalizers.Replace(Regex(_HYPHENS), "-"),
    ]
    if pattern is not None:
        return normalizers.Sequence(alike), _matches(pattern)
    alike.append(normalizers.Replace(Regex(r"[^\w\s'-]"), " "))
    split = pre_tokenizers.WhitespaceSplit()
    if kind == "characters":
        letter = pre_tokenizers.Split(Regex(rf"[{UNSPACED}]\p{{M}}*"), "isolated")
        return normalizers.Sequence(alike), pre_tokenizers.Sequence([split, letter])
    return normalizers.Sequence(alike), split


def _matches(pattern: str) -> Any:
    """Split into what matches; the rest is dropped."""
    try:
        return pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    except Exception as error:  # the library raises bare Exception
        raise UsageError(
            f"words.pattern is {pattern!r}, which is no regular expression ({error}); give one "
            r"such as '[a-z]+|[.,]'."
        ) from None


def _joining() -> Any:
    """Join with spaces, then take away those beside letters written without."""
    return decoders.Sequence(
        [
            decoders.WordPiece(prefix=" ", cleanup=False),  # no word begins so: all get a space
            decoders.Fuse(),
            decoders.Replace(Regex(BESIDE_UNSPACED), ""),
        ]
    )
