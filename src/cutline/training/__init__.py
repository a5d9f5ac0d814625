"""Training: a recipe becomes a model."""

from cutline.training.run import TrainingResult, train

__all__ = ["TrainingResult", "train"]
