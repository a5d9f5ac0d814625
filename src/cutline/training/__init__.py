"""Training: a recipe becomes a model."""

from cutline.training.devices import is_first, is_first_of_node
from cutline.training.run import TrainingResult, train
from cutline.training.selection import named, rank

__all__ = ["TrainingResult", "is_first", "is_first_of_node", "named", "rank", "train"]
