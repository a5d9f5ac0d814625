"""Words and their numbers, on Hugging Face tokenizers.

A word-level vocabulary, built from the training split only. Captions are lower-cased and
punctuation other than `'` and `-` becomes space.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from cutline.errors import DataError, ModelError

__all__ = ["Vocabulary"]

PAD, START, END, UNK = SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")


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
    def build(cls, captions: Iterable[str], *, min_frequency: int = 5) -> "Vocabulary":
        """Collect the words that occur at least `min_frequency` times in `captions`."""
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"[^\w\s'-]"), " "),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
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
        """Read a `tokenizer.json`; a file that is not one is a `ModelError`."""
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except ModelError:
            raise
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"{path} is not a tokenizer: {error}.") from None

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
