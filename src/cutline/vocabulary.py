"""Vocabulary: words and their numbers, in `tokenizer.json`.

Captions become numbers by Hugging Face's tokenizers (`cutline.tokenizing`), which training needs.
Numbers become words without them: `tokenizer.json` has the list. It also says how words are joined
to a text: with spaces where its `decoder` is null; elsewhere with spaces, of which those beside
letters of a language written without are taken away.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutline.errors import DataError, MissingDependencyError, ModelError
from cutline.files import printable, write_text
from cutline.unspaced import BESIDE_UNSPACED
from cutline.untrusted import MEGABYTE, parse_json, read_text

if TYPE_CHECKING:
    from cutline.tokenizing import TokenizerKind

__all__ = ["MOST_WORDS", "SPECIAL", "Vocabulary"]

PAD, START, END, UNK = SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")

MOST_WORDS = 200_000  # COCO's captions have 10,000
LARGEST_FILE = 16 * MEGABYTE
LONGEST_WORD = 1_000


class Vocabulary:
    """A mapping between words and numbers, with `<pad> <start> <end> <unk>` as 0 to 3.

    Args:
        text: of a `tokenizer.json`.
        name: of the file, for messages.

    Raises:
        ModelError: it is not the tokenizer of a captioner; the sentence says why.
    """

    pad, start, end, unk = range(4)

    def __init__(self, text: str, name: str = "tokenizer.json") -> None:
        if max(text.count(":"), text.count(",")) > 2 * MOST_WORDS:  # counted before it is parsed
            raise ModelError(f"{name} has more than {MOST_WORDS:,} words, and is not read.")
        content = parse_json(text, name)
        self.text = text
        self.all_words = _words(content, name)
        self.spaced: bool = content.get("decoder") is None
        """Return whether words are joined with spaces, whatever their script."""

    @classmethod
    def build(
        cls,
        captions: Iterable[str],
        *,
        min_frequency: int = 5,
        kind: "TokenizerKind" = "words",
        pattern: str | None = None,
    ) -> "Vocabulary":
        """Collect the words that occur at least `min_frequency` times in `captions`.

        Args:
            captions: of the training split.
            min_frequency: words that are rarer become `<unk>`.
            kind: how captions are split and joined.
            pattern: a regular expression of what is a word, in place of the splitting of `kind`.
        """
        made = _tokenizing().train_tokenizer(
            captions, SPECIAL, min_frequency=min_frequency, kind=kind, pattern=pattern
        )
        vocabulary = cls(made.to_str(pretty=True))
        if len(vocabulary) == len(SPECIAL):
            raise DataError(
                f"No word occurs {min_frequency} times in the training captions; "
                "lower data.min_frequency or add captions."
            )
        return vocabulary

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a `tokenizer.json`; a file that is not one, or absurdly large, is a `ModelError`."""
        return cls(read_text(path, at_most=LARGEST_FILE), printable(path))

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`, whole or not at all; `UsageError` where that fails."""
        write_text(path, self.text)

    def __len__(self) -> int:
        return len(self.all_words)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of Hugging Face's library, which splits captions."""
        return _tokenizing().read_tokenizer(self.text)

    def encode(self, caption: str, *, max_words: int = 50) -> list[int]:
        """Return `<start> w_1 .. w_n <end>` as numbers, cut to `max_words` words.

        >>> Vocabulary.build(["a dog"], min_frequency=1).encode("A dog, a cat!")
        [1, 4, 5, 4, 3, 2]
        """
        words: list[int] = self.tokenizer.encode(caption, add_special_tokens=False).ids
        return [self.start, *words[:max_words], self.end]

    def words(self, numbers: Sequence[int]) -> list[str]:
        """Return the words of `numbers`, special ones included; a number of no word is `<unk>`."""
        known = range(len(self.all_words))
        return [self.all_words[int(n)] if int(n) in known else UNK for n in numbers]

    def join(self, words: Sequence[str]) -> str:
        """Return the text of words.

        >>> Vocabulary.build(["a dog"], min_frequency=1).join(["a", "dog"])
        'a dog'
        """
        text = " ".join(words)
        return text if self.spaced else re.sub(BESIDE_UNSPACED, "", text)

    def split(self, text: str) -> str:
        """Return a text with spaces between its words, for the scores, which know no others."""
        if self.spaced:
            return text
        found = self.tokenizer.normalizer.normalize_str(text)
        return " ".join(word for word, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(found))


def _tokenizing() -> Any:
    try:
        from cutline import tokenizing
    except ModuleNotFoundError:
        raise MissingDependencyError("Splitting captions into words", extra="train") from None
    return tokenizing


def _words(content: Any, name: str) -> list[str]:
    """Return the words by their numbers; refuse words that are not numbered as a network's are."""
    model = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(model, Mapping):
        raise ModelError(f"{name} is not a tokenizer: it has no 'model'.")
    kind, numbers = model.get("type"), model.get("vocab")
    if kind != "WordLevel" or not isinstance(numbers, Mapping):
        raise ModelError(
            f"{name} is a tokenizer of the kind {printable(str(kind))}; a captioner's is WordLevel."
        )
    longest = max(map(len, numbers), default=0)
    if len(numbers) > MOST_WORDS or longest > LONGEST_WORD:
        raise ModelError(
            f"{name} has {len(numbers):,} words, of which the longest has {longest:,} letters; "
            f"{MOST_WORDS:,} and {LONGEST_WORD:,} are allowed."
        )
    if not all(type(n) is int for n in numbers.values()) or sorted(numbers.values()) != list(
        range(len(numbers))
    ):
        raise ModelError(
            f"{name} has {len(numbers):,} words, but they are not numbered from 0 on, each once; "
            "put back the file that the model was saved with."
        )
    words = sorted(numbers, key=numbers.__getitem__)
    if tuple(words[:4]) != SPECIAL:
        raise ModelError(
            f"{name}: the tokenizer's first four words are {tuple(words[:4])}; a captioner's are "
            f"{SPECIAL}."
        )
    return words
