"""A model and a data set become captions and scores."""

from cutline.evaluation.evaluate import Evaluation, evaluate
from cutline.evaluation.scenes import SceneScores, score_scenes

__all__ = ["Evaluation", "SceneScores", "evaluate", "score_scenes"]
