"""Words and their numbers, on Hugging Face tokenizers.

A word-level vocabulary, built from the training split only. Captions are lower-cased and
punctuation other than `'` and `-` becomes space.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from cutline.errors import DataError, ModelError
from cutline.files import printable
from cutline.untrusted import MEGABYTE, read_text, shortened

__all__ = ["MOST_WORDS", "SPECIAL", "Vocabulary"]

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
