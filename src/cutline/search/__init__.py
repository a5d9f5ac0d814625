"""Greedy search, beam search and sampling, over any step callable, without PyTorch."""

from cutline.search.arrays import NUMPY, Arrays, NumpyArrays, Scored, SelectableStep, Step
from cutline.search.beam_search import beam
from cutline.search.follow import greedy, sample
from cutline.search.forced import forced_log_probs
from cutline.search.trail import Hypothesis
from cutline.search.words import Words

__all__ = [
    "NUMPY",
    "Arrays",
    "Hypothesis",
    "NumpyArrays",
    "Scored",
    "SelectableStep",
    "Step",
    "Words",
    "beam",
    "forced_log_probs",
    "greedy",
    "sample",
]
