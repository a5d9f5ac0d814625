"""Advice on recipes that a data set or a run is too small for: what happens, what to type."""

from collections.abc import Iterable, Sequence

from cutline.config import Recipe
from cutline.training.schedule import warmup_steps
from cutline.vocabulary import Vocabulary

__all__ = ["advise", "advise_on_steps"]

FEW_IMAGES = 50  # of validation
FEW_STEPS = 300
UNKNOWN = 0.1  # share of the captions' words
"""Limits beyond which a run is warned: rules of thumb, not measured."""


def advise(recipe: Recipe, captions: Iterable[Sequence[int]], *, validation: int) -> list[str]:
    """Warn of what keeps a run from learning, before it begins.

    Args:
        recipe: of the run.
        captions: the words of the training captions as numbers, `Vocabulary.encode`.
        validation: images of the validation split that are used.
    """
    notes = [_random_and_frozen(recipe), _few_to_validate(recipe, validation)]
    if recipe.training.start_from is None:
        notes.append(_unknown_words(recipe, captions))
    return [f"warning: {note}" for note in notes if note]


def advise_on_steps(recipe: Recipe, steps: int) -> list[str]:
    """Say that a run of `steps` steps shortens its warm-up, and warn of one that is very short."""
    training, notes = recipe.training, list[str]()
    if (rise := warmup_steps(training, total=steps)) < training.warmup_steps:
        notes.append(
            f"note: the warm-up is shortened from {training.warmup_steps} steps to {rise}, a tenth "
            f"of the run's {steps:,} (training.warmup_steps)"
        )
    if steps < FEW_STEPS and training.start_from is None:
        epochs = -(-FEW_STEPS * training.epochs // steps)
        notes.append(
            f"warning: the run has {steps} step{'s' * (steps > 1)} only, and a captioner "
            f"learns little in fewer than {FEW_STEPS}; type training.epochs={epochs} (the best "
            "epoch is kept)"
        )
    return notes


def _random_and_frozen(recipe: Recipe) -> str | None:
    encoder, training = recipe.encoder, recipe.training
    if encoder.weights != "random" or training.start_from is not None:
        return None
    if encoder.trainable == "none":
        state, remedy = "frozen (encoder.trainable=none)", "encoder.trainable=all"
    elif encoder.unfreeze_epoch > training.epochs:
        state = (
            f"frozen until after the last epoch (encoder.unfreeze_epoch={encoder.unfreeze_epoch}, "
            f"training.epochs={training.epochs})"
        )
        remedy = "encoder.unfreeze_epoch=1"
    else:
        return None
    return (
        f"the encoder is random (encoder.weights=random) and {state}, so it never learns to see; "
        f"type encoder.weights=download, encoder.weights=FILE.safetensors or {remedy}"
    )


def _few_to_validate(recipe: Recipe, images: int) -> str | None:
    if images >= FEW_IMAGES:
        return None
    limit = recipe.training.validate_images
    remedy = (
        "give a validation split of more images, or type training.monitor=loss"
        if limit is None or limit > images
        else f"type training.validate_images={FEW_IMAGES} or more, or training.monitor=loss"
    )
    if recipe.training.monitor == "loss":
        return None
    many = "1 image" if images == 1 else f"{images} images"
    return (
        f"validation has {many} only; with fewer than {FEW_IMAGES} it is mostly chance which epoch "
        f"has the best {recipe.training.monitor}: {remedy}"
    )


def _unknown_words(recipe: Recipe, captions: Iterable[Sequence[int]]) -> str | None:
    if recipe.data.min_frequency == 1:
        return None
    words = unknown = 0
    for caption in captions:
        words += len(caption) - 2  # without <start> and <end>
        unknown += caption.count(Vocabulary.unk)
    share = unknown / max(1, words)
    if share <= UNKNOWN:
        return None
    return (
        f"{share:.0%} of the captions' words are <unk>, because they are rarer than "
        f"data.min_frequency={recipe.data.min_frequency}; type data.min_frequency=2, or 1"
    )
