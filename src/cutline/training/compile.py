"""Decision whether `torch.compile` pays for a training."""

from cutline import fast
from cutline.compiled import compiler
from cutline.config import (
    AdaptiveConfig,
    DecoderConfig,
    HardConfig,
    Recipe,
    SoftConfig,
    SpatialConfig,
)
from cutline.errors import UsageError

__all__ = ["wants_compiler"]

PAIR, SCORE = 0.6e-9, 1.2e-9  # seconds saved, there and back: one core of a Zen 5
PAYS = 30.0  # seconds to be saved; compiling takes ten to twenty


def wants_compiler(
    recipe: Recipe, *, device: str, words: int, vocabulary: int, regions: int
) -> bool:
    """Say whether to compile: as `training.compile` says, or as the seconds add up.

    Args:
        recipe: what will be trained.
        device: where; only what a CPU does is compiled.
        words: of all training captions, each `<end>` included.
        vocabulary: words to choose among.
        regions: `R`, of an image.

    Raises:
        UsageError: `training.compile` asks for what is not there.
    """
    asked = recipe.training.compile
    if device != "cpu" or asked is False or not fast.enabled():
        return False
    if compiler() is None:
        if asked:
            raise UsageError(
                "training.compile is true, but no C++ compiler was found; install g++ (macOS: "
                "clang++, Windows: cl), or name another in the environment variable CXX, or leave "
                "training.compile out."
            )
        return False
    if asked:
        return True
    pairs = regions * _attention_size(recipe.decoder)
    scores = vocabulary if recipe.training.objective == "likelihood" else 0
    read = words * recipe.training.epochs * _samples(recipe.decoder)
    return read * (PAIR * pairs + SCORE * scores) > PAYS


def _attention_size(config: DecoderConfig) -> int:
    """Return the size of additive attention, whose pairs are compiled; 0 where there is none."""
    if isinstance(config, SoftConfig | HardConfig | SpatialConfig | AdaptiveConfig):
        return config.attention
    return 0


def _samples(config: DecoderConfig) -> int:
    return config.samples if isinstance(config, HardConfig) else 1
