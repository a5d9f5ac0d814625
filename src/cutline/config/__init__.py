"""Recipes: what to train, on what, how; a YAML file and `key=value` changes to it.

recipe    the fields
reading   a file and changes become a recipe
faults    what is wrong with one, in sentences
"""

from cutline.config.reading import change_search, find_recipe, read_recipe, recipe_folder
from cutline.config.recipe import (
    DataConfig,
    DecoderConfig,
    EncoderConfig,
    LastStages,
    NicConfig,
    Recipe,
    ScenesConfig,
    SearchConfig,
    SoftConfig,
    TrainingConfig,
)

__all__ = [
    "DataConfig",
    "DecoderConfig",
    "EncoderConfig",
    "LastStages",
    "NicConfig",
    "Recipe",
    "ScenesConfig",
    "SearchConfig",
    "SoftConfig",
    "TrainingConfig",
    "change_search",
    "find_recipe",
    "read_recipe",
    "recipe_folder",
]
