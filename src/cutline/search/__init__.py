"""Greedy search, beam search and sampling, over any step callable, without PyTorch."""

from cutline.search.arrays import NUMPY, Arrays, NumpyArrays, Scored, Step
from cutline.search.beam import beam
from cutline.search.follow import greedy, sample
from cutline.search.trail import Hypothesis
from cutline.search.words import Words

__all__ = [
    "NUMPY",
    "Arrays",
    "Hypothesis",
    "NumpyArrays",
    "Scored",
    "Step",
    "Words",
    "beam",
    "greedy",
    "sample",
]
