"""Choice of the number of CPU threads for training.

A step of a small decoder is thousands of small operations. Threads make it little faster on an idle
machine, and ten times slower on a busy one, because they spin for each other. So it is measured.
"""

import os
import time

import torch

from cutline.config import Recipe
from cutline.decoders import build_decoder
from cutline.fast import unroll
from cutline.functional import Features

__all__ = ["choose_threads"]

GIVEN = "OMP_NUM_THREADS"
WORDS, REGIONS, STEPS = 500, 49, 3
PATIENCE = 1.0  # seconds of measuring for each number of threads
WORTH_IT = 1.1  # more threads must be this much faster than one


def choose_threads(recipe: Recipe, *, processes: int = 1) -> int:
    """Return the number of threads that trains fastest now, one or as many as torch would use.

    `training.threads` and `OMP_NUM_THREADS=1` are obeyed without measuring. Several processes of a
    machine share its cores, each an equal part.
    """
    most = torch.get_num_threads()
    if recipe.training.threads is not None:
        return recipe.training.threads
    if processes > 1:
        return most if GIVEN in os.environ else max(1, most // processes)
    if most == 1:
        return 1
    work = _Work(recipe)
    alone, together = work.seconds(1), work.seconds(most)
    torch.set_num_threads(most)
    return most if alone > WORTH_IT * together else 1


class _Work:
    """Forward and backward of a decoder like the recipe's, on random numbers."""

    def __init__(self, recipe: Recipe) -> None:
        size = recipe.decoder.head or 256
        images, captions = recipe.training.batch_size, recipe.data.captions_per_image
        config = recipe.decoder.model_copy(update={"head": None})
        self.decoder = build_decoder(config, vocabulary_size=WORDS, feature_size=size)
        grid = torch.rand(images, REGIONS, size)
        self.features = Features(grid, grid.mean(1), 7, 7)
        self.words = torch.randint(4, WORDS, (images, captions, STEPS))
        self.lengths = torch.full((images, captions), STEPS)

    def seconds(self, threads: int) -> float:
        """Return the seconds of the fastest of four steps, or fewer where they are slow."""
        torch.set_num_threads(threads)
        found: list[float] = []
        while len(found) < 4 and sum(found) < PATIENCE:
            start = time.perf_counter()
            unrolled = unroll(self.decoder, self.features, self.words, self.lengths)
            self.decoder.project(unrolled.output).mean().backward()  # type: ignore[no-untyped-call]
            found.append(time.perf_counter() - start)
        return min(found)
