"""Pretrained word embeddings: initial values from text vectors.

Words that have no vector are drawn from the distribution of those that have one: each number from a
normal with the mean and the standard deviation that the vectors have in that place.

Shapes: `V` vocabulary, `E` numbers of a word.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cutline.config import Recipe
from cutline.decoders import Decoder
from cutline.errors import DataError, UsageError
from cutline.training.data import Progress
from cutline.vectors import MEGABYTE, read_vectors, vector_size
from cutline.vocabulary import Vocabulary

__all__ = ["begin_words", "embedding_of", "load_vectors"]

SPECIAL = 4  # <pad>, <start>, <end> and <unk> stand first and are no words
NAMED = 5  # malformed lines that are named, of those that are counted


def embedding_of(decoder: Decoder) -> nn.Embedding:
    """Return a decoder's embedding of words (V, E), also of one that stands behind a head."""
    embedding = decoder.word_embedding()
    if embedding is None:
        raise UsageError(
            f"The decoder {type(decoder).__name__} has no embedding of words, or several; leave "
            "out words.vectors, or let its method word_embedding return the one."
        )
    return embedding


def begin_words(
    decoder: Decoder,
    vocabulary: Vocabulary,
    captions: Iterable[str],
    recipe: Recipe,
    progress: Progress,
    *,
    resumed: bool,
) -> list[str]:
    """Do with the embedding what `recipe.words` says; return what `load_vectors` has to say.

    A frozen one has no gradient, and so it is not in the optimiser, where it would decay. A resumed
    run takes the numbers from its checkpoint.
    """
    words = recipe.words
    if words.vectors is None:
        return []
    embedding = embedding_of(decoder)
    embedding.weight.requires_grad_(not words.frozen)
    if resumed:
        return []
    path = Path(words.vectors).expanduser()
    return load_vectors(embedding, vocabulary, captions, path, seed=recipe.seed, progress=progress)


def load_vectors(
    embedding: nn.Embedding,
    vocabulary: Vocabulary,
    captions: Iterable[str],
    path: Path,
    *,
    seed: int,
    progress: Progress,
) -> list[str]:
    """Fill `embedding` from the file of vectors `path`; say in sentences what was found.

    Args:
        embedding: of `vocabulary`, (V, E).
        vocabulary: the words.
        captions: of the training split, to count how many of their words have a vector.
        path: see `cutline.vectors`.
        seed: decides what is drawn for words without a vector.
        progress: starts a progress bar over the megabytes of the file.

    Raises:
        UsageError: the vectors are not as long as the embedding's.
        DataError: none of the words is there, or the file cannot be used.
    """
    size = vector_size(path)
    if size != embedding.embedding_dim:
        raise UsageError(
            f"decoder.embedding is {embedding.embedding_dim}, but the vectors of {path} have "
            f"{size} numbers a word; give decoder.embedding={size}, or vectors of "
            f"{embedding.embedding_dim} numbers."
        )
    words = vocabulary.words(range(len(vocabulary)))
    advance = progress(f"{path.name} (MB)", max(1, path.stat().st_size // MEGABYTE))
    found, malformed = read_vectors(path, words, size=size, advance=advance)
    known = [number for number in range(len(words)) if words[number] in found]
    if not [number for number in known if number >= SPECIAL]:
        raise DataError(
            f"{path} has none of the {len(words) - SPECIAL:,} words of the captions; give "
            "words.vectors in their language, and with lower-case words."
        )
    vectors = np.stack([found[words[number]] for number in known])
    table = np.random.default_rng(seed).normal(vectors.mean(0), vectors.std(0), (len(words), size))
    table[known] = vectors
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(table))
    return [_coverage(path, vocabulary, set(known), captions), *_faults(path, size, malformed)]


def _coverage(path: Path, vocabulary: Vocabulary, known: set[int], captions: Iterable[str]) -> str:
    words = len(vocabulary) - SPECIAL
    covered = sum(number >= SPECIAL for number in known)
    running = Counter(
        number for text in captions for number in vocabulary.encode(text, max_words=len(text))[1:-1]
    )
    share = sum(n for word, n in running.items() if word >= SPECIAL and word in known)
    return (
        f"word vectors of {path.name}: {covered:,} of {words:,} words ({covered / words:.1%}), "
        f"{share / running.total():.1%} of the running words of the training captions; the others "
        "are drawn from their distribution"
    )


def _faults(path: Path, size: int, malformed: list[int]) -> list[str]:
    if not malformed:
        return []
    named = ", ".join(str(number) for number in malformed[:NAMED])
    more = ", ..." if len(malformed) > NAMED else ""
    lines = "line" if len(malformed) == 1 else "lines"
    return [
        f"left out of {path.name}: {len(malformed):,} {lines} without a word and {size} numbers: "
        f"{named}{more}"
    ]
