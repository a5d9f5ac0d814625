"""Training: a recipe becomes a model."""

from cutline.training.run import TrainingResult, train
from cutline.training.selection import named, rank

__all__ = ["TrainingResult", "named", "rank", "train"]
