"""Whether a training is long enough for PyTorch's compiler to pay."""

import torch

from cutline.compiled import has_compiler
from cutline.config import Recipe
from cutline.errors import UsageError

__all__ = ["wants_compiler"]

PAIR, SCORE = 0.6e-9, 1.2e-9  # seconds saved, there and back: one core of a Zen 5
PAYS = 30.0  # seconds to be saved; compiling takes some ten


def wants_compiler(recipe: Recipe, *, words: int, vocabulary: int, regions: int) -> bool:
    """Say whether to compile: as `training.compile` says, or as the seconds add up.

    Args:
        recipe: what will be trained.
        words: of all training captions, each `<end>` included.
        vocabulary: words to choose among.
        regions: `R`, of an image.

    Raises:
        UsageError: `training.compile` asks for what is not there.
    """
    asked = recipe.training.compile
    if asked and not has_compiler():
        raise UsageError(
            "training.compile is true, but no C++ compiler was found; install g++, or name "
            "another in the environment variable CXX, or leave training.compile out."
        )
    if asked is not None:
        return asked
    pairs = regions * getattr(recipe.decoder, "attention", 0)
    saved = words * recipe.training.epochs * (PAIR * pairs + SCORE * vocabulary)
    return saved > PAYS and has_compiler() and not torch.cuda.is_available()
