"""Words and their numbers, on Hugging Face tokenizers.

A word-level vocabulary, built from the training split only. Captions are lower-cased, typographic
apostrophes and hyphens within words become `'` and `-`, and other punctuation becomes space.

Where a language is written without spaces between words, `characters` makes a word of each of its
letters (with the marks on it), and leaves words and numbers of other scripts whole. How words are
joined to a text is in `tokenizer.json`: with spaces where its `decoder` is null; elsewhere with
spaces, of which those beside letters of such a language are taken away.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cutline.errors import DataError, ModelError, UsageError
from cutline.files import printable
from cutline.unspaced import UNSPACED
from cutline.untrusted import MEGABYTE, read_text, shortened

__all__ = ["MOST_WORDS", "SPECIAL", "TokenizerKind", "Vocabulary"]

TokenizerKind = Literal["words", "characters"]

# Within a word, as the scores' tokenizer reads them (and typists mean them); not quotation marks.
_WITHIN = rf"(?<=\w)(?<![{UNSPACED}])%s(?=\w)(?![{UNSPACED}])"
_APOSTROPHES = _WITHIN % "[`\u0091\u0092\u00b4\u02bc\u2018\u2019\u201b\u2032\uff07]"
_HYPHENS = _WITHIN % "[\u058a\u2010\u2011]"
_SOFT_HYPHEN = "\u00ad"  # shows only at the end of a line
_BESIDE_UNSPACED = f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])"

PAD, START, END, UNK = SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")

MOST_WORDS = 200_000  # COCO's captions have 10,000
LARGEST_FILE = 16 * MEGABYTE
LONGEST_WORD = 1_000


class Vocabulary:
    """A mapping between words and numbers, with `<pad> <start> <end> <unk>` as 0 to 3."""

    pad, start, end, unk = range(4)

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True  # a person's `<end>` is the word, not the sign
        found = tuple(tokenizer.id_to_token(number) for number in range(4))
        if found != SPECIAL:
            raise ModelError(
                f"The tokenizer's first four words are {found}; a captioner's are {SPECIAL}."
            )

    @classmethod
    def build(
        cls,
        captions: Iterable[str],
        *,
        min_frequency: int = 5,
        kind: TokenizerKind = "words",
        pattern: str | None = None,
    ) -> "Vocabulary":
        """Collect the words that occur at least `min_frequency` times in `captions`.

        Args:
            captions: of the training split.
            min_frequency: words that are rarer become `<unk>`.
            kind: how captions are split and joined.
            pattern: a regular expression of what is a word, in place of the splitting of `kind`.
        """
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
        tokenizer.normalizer, tokenizer.pre_tokenizer = _splitting(kind, pattern)
        if kind == "characters":
            tokenizer.decoder = _joining()
        trainer = trainers.WordLevelTrainer(
            vocab_size=2**31,  # its default would drop words past the first 30,000
            min_frequency=min_frequency,
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
        tokenizer.train_from_iterator(captions, trainer)
        vocabulary = cls(tokenizer)
        if len(vocabulary) == len(SPECIAL):
            raise DataError(
                f"No word occurs {min_frequency} times in the training captions; "
                "lower data.min_frequency or add captions."
            )
        return vocabulary

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a `tokenizer.json`; a file that is not one, or absurdly large, is a `ModelError`."""
        text = read_text(path, at_most=LARGEST_FILE)
        name = printable(path)
        if max(text.count(":"), text.count(",")) > 2 * MOST_WORDS:  # counted before it is parsed
            raise ModelError(f"{name} has more than {MOST_WORDS:,} words, and is not read.")
        try:
            vocabulary = cls(Tokenizer.from_str(text))
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from None
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # bare Exception, and Rust's panics
            raise ModelError(f"{name} is not a tokenizer: {shortened(error)}.") from None
        vocabulary.check(name)
        return vocabulary

    def check(self, name: str) -> None:
        """Refuse, by the `name` of its file, words that are not numbered as a network's are."""
        words = self.tokenizer.get_vocab()
        if not isinstance(self.tokenizer.model, models.WordLevel):
            kind = type(self.tokenizer.model).__name__
            raise ModelError(
                f"{name} is a tokenizer of the kind {kind}; a captioner's is WordLevel."
            )
        longest = max(map(len, words))
        if len(words) > MOST_WORDS or longest > LONGEST_WORD:
            raise ModelError(
                f"{name} has {len(words):,} words, of which the longest has {longest:,} letters; "
                f"{MOST_WORDS:,} and {LONGEST_WORD:,} are allowed."
            )
        if sorted(words.values()) != list(range(len(words))):
            raise ModelError(
                f"{name} has {len(words):,} words, but they are not numbered from 0 on, each "
                "once; put back the file that the model was saved with."
            )

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`."""
        path.write_text(self.tokenizer.to_str(pretty=True), encoding="utf-8")

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, caption: str, *, max_words: int = 50) -> list[int]:
        """Return `<start> w_1 .. w_n <end>` as numbers, cut to `max_words` words.

        >>> Vocabulary.build(["a dog"], min_frequency=1).encode("A dog, a cat!")
        [1, 4, 5, 4, 3, 2]
        """
        words: list[int] = self.tokenizer.encode(caption, add_special_tokens=False).ids
        return [self.start, *words[:max_words], self.end]

    def words(self, numbers: Sequence[int]) -> list[str]:
        """Return the words of `numbers`, special ones included."""
        return [self.tokenizer.id_to_token(int(number)) or UNK for number in numbers]

    @property
    def spaced(self) -> bool:
        """Whether words are joined with spaces, whatever their script."""
        return self.tokenizer.decoder is None

    def join(self, words: Sequence[str]) -> str:
        """Return the text of words.

        >>> Vocabulary.build(["a dog"], min_frequency=1).join(["a", "dog"])
        'a dog'
        """
        text = " ".join(words)
        return text if self.spaced else re.sub(_BESIDE_UNSPACED, "", text)

    def split(self, text: str) -> str:
        """Return a text with spaces between its words, for the scores, which know no others."""
        if self.spaced:
            return text
        found = self.tokenizer.normalizer.normalize_str(text)
        return " ".join(word for word, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(found))


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
            decoders.Replace(Regex(_BESIDE_UNSPACED), ""),
        ]
    )
