"""Recipes: what to train, on what, how; a YAML file and `key=value` changes to it.

recipe    the fields
decoder   those of the decoders
outside   fields of a decoder from outside the package
marks     uses of a field: training only, or without effect on the weights
reading   from a file and changes to a recipe
renamed   old names of fields and values
faults    error messages
"""

from cutline.config.decoder import (
    AdaptiveConfig,
    DecoderConfig,
    DotConfig,
    HardConfig,
    NicConfig,
    RnnConfig,
    SoftConfig,
    SpatialConfig,
)
from cutline.config.marks import FREE, TRAINING, free_fields, training_fields
from cutline.config.outside import OutsideDecoderConfig
from cutline.config.reading import change_search, find_recipe, read_recipe, recipe_folder
from cutline.config.recipe import (
    LARGEST_SIDE,
    TEACHER_FORCED_LOSS,
    AugmentConfig,
    DataConfig,
    EncoderConfig,
    LastStages,
    Recipe,
    ScenesConfig,
    ScheduledSamplingConfig,
    SearchConfig,
    SelfCriticalConfig,
    TrainingConfig,
    WordsConfig,
)
from cutline.config.renamed import translate

__all__ = [
    "FREE",
    "LARGEST_SIDE",
    "TEACHER_FORCED_LOSS",
    "TRAINING",
    "AdaptiveConfig",
    "AugmentConfig",
    "DataConfig",
    "DecoderConfig",
    "DotConfig",
    "EncoderConfig",
    "HardConfig",
    "LastStages",
    "NicConfig",
    "OutsideDecoderConfig",
    "Recipe",
    "RnnConfig",
    "ScenesConfig",
    "ScheduledSamplingConfig",
    "SearchConfig",
    "SelfCriticalConfig",
    "SoftConfig",
    "SpatialConfig",
    "TrainingConfig",
    "WordsConfig",
    "change_search",
    "find_recipe",
    "free_fields",
    "read_recipe",
    "recipe_folder",
    "training_fields",
    "translate",
]
