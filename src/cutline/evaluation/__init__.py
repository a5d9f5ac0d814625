"""Evaluation: caption a data set with a model, score the captions, calibrate the model."""

from cutline.evaluation.calibration import Calibration, calibrate
from cutline.evaluation.evaluation import Evaluation, evaluate
from cutline.evaluation.faithfulness import Faithfulness, measure_faithfulness
from cutline.evaluation.figures import check_figures, write_figures
from cutline.evaluation.scenes import SceneScores, score_scenes

__all__ = [
    "Calibration",
    "Evaluation",
    "Faithfulness",
    "SceneScores",
    "calibrate",
    "check_figures",
    "evaluate",
    "measure_faithfulness",
    "score_scenes",
    "write_figures",
]
