"""Word vectors as text: one word and its numbers a line, as GloVe and word2vec write them.

Pennington et al. 2014 (GloVe), https://nlp.stanford.edu/projects/glove. The file is read as a
stream, and only the lines of words that are asked for become numbers, so that one of two gigabytes
takes no more memory than one of two megabytes.

Shapes: `E` numbers of a word.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutline.errors import DataError, UsageError

__all__ = ["MEGABYTE", "WordVectors", "read_vectors", "vector_size"]

Floats = NDArray[np.float32]

MEGABYTE = 1_000_000
LONGEST = 1 << 20  # bytes of a line; a longer one means that the file is not text
PEEKED = 100  # lines that decide how many numbers a word has


class WordVectors(NamedTuple):
    """`found` maps words to their vectors (E,); `malformed` are the numbers of lines left out."""

    found: dict[str, Floats]
    malformed: list[int]


def vector_size(path: Path) -> int:
    """Return `E`: what word2vec's first line says, or what most of the first lines have.

    Not simply what the first line has, because GloVe 840B has words with spaces in them.
    """
    with _open(path) as (file, _):
        head = list(islice(_lines(file, path), PEEKED))
    if head and _is_header(head[0]):
        return int(head[0].split()[1])
    counts = Counter(len(line.split()) - 1 for line in head if line.strip())
    size = counts.most_common(1)[0][0] if counts else 0
    if size < 1:
        raise DataError(f"{path} holds no word vectors; {_EXPECTED}.")
    return size


def read_vectors(
    path: Path,
    words: Iterable[str],
    *,
    size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> WordVectors:
    """Read the vectors of `words`, as far as `path` has them; of two of one word the first.

    Args:
        path: a text file, gzipped or not.
        words: what to look for, exactly as it is written.
        size: `E`; a line without a word and `E` numbers is malformed. Of a line that is not needed
            only the number of its fields is looked at.
        advance: called with the number of megabytes that have been read since, 1 at the least.

    Raises:
        DataError: a needed number is not finite, or the file is cut off.
    """
    wanted = {word.encode(): word for word in words}
    found: dict[str, Floats] = {}
    malformed: list[int] = []
    with _open(path) as (file, raw):
        for number, line in _entries(file, raw, path, advance):
            if line.count(b" ") < size and len(line.split()) <= size:  # the count is quick
                malformed.append(number)
                continue
            word = wanted.get(line.split(None, 1)[0])
            if word is None or word in found or _has_spaces(line, size):
                continue
            vector = _parse(line, size)
            if vector is None:
                malformed.append(number)
            elif not np.isfinite(vector).all():
                raise DataError(
                    f"{path}, line {number}: the vector of '{word}' has a number that is not "
                    "finite; mend the line or take it out."
                )
            else:
                found[word] = vector
    return WordVectors(found, malformed)


_EXPECTED = "give a text file with a word and its numbers on each line (.txt or .txt.gz)"


@contextmanager
def _open(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield the text of a file, gzipped or not, and the file itself, which knows how far it is."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            if magic == b"PK":
                raise DataError(f"{path} is a zip archive; unzip it, and give a .txt file of it.")
            yield gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw, raw  # type: ignore[misc]
    except FileNotFoundError:
        raise UsageError(
            f"There is no file {path} of word vectors; give words.vectors=FILE.txt, or leave it "
            "out to draw them at random."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read ({reason}); {_EXPECTED}.") from None


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    while line := file.readline(LONGEST):
        if len(line) == LONGEST and not line.endswith(b"\n"):
            raise DataError(f"{path} has a line of more than {LONGEST:,} bytes; {_EXPECTED}.")
        yield line


def _entries(
    file: BinaryIO, raw: BinaryIO, path: Path, advance: Callable[[int], None]
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are neither blank nor a header, with their numbers."""
    done = 0
    for number, line in enumerate(_lines(file, path), 1):
        if number % 4096 == 0:
            advance(raw.tell() // MEGABYTE - done)
            done = raw.tell() // MEGABYTE
        entry = line.rstrip()
        if entry and not (number == 1 and _is_header(entry)):
            yield number, entry
    advance(max(1, raw.tell() // MEGABYTE) - done)


def _is_header(line: bytes) -> bool:
    """Return whether this first line is word2vec's: how many words, and how many numbers each."""
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _has_spaces(line: bytes, size: int) -> bool:
    """Return whether the line is of a word with spaces in it, which no vocabulary of ours has."""
    rest = line.split()[1:-size]
    return any(_number(field) is None for field in rest)


def _parse(line: bytes, size: int) -> Floats | None:
    numbers = [_number(field) for field in line.split()[1:]]
    if len(numbers) != size or None in numbers:
        return None
    return np.array(numbers, dtype=np.float32)


def _number(field: bytes) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
