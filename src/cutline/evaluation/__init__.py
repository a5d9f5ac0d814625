"""A model and a data set become captions and scores."""

from cutline.evaluation.calibrate import Calibration, calibrate
from cutline.evaluation.evaluate import Evaluation, evaluate
from cutline.evaluation.scenes import SceneScores, score_scenes

__all__ = ["Calibration", "Evaluation", "SceneScores", "calibrate", "evaluate", "score_scenes"]
