"""Scores of captions, equal to the reference COCO evaluation; what needs no Java runs without.

scores          score() and compare(): captions and references in, figures and a signature out
measures        each metric over tokenized captions
bootstrap       95% intervals
description     how varied captions are, how they end, what repeats
tokenized       captions as tokens and as counted n-grams
bleu            BLEU-1 to BLEU-4
rouge           ROUGE-L
cider           CIDEr, and CIDEr-D as a reward with given document frequencies
meteor          METEOR 1.5, through its jar
spice           SPICE, through its jar
references      references, counted once
ngrams          counting n-grams
ptb             ptb_tokenize(): a caption to words
ptb_rules       the tokenizer's rules
ptb_characters  its letters, digits and symbols
"""

from cutline.metrics.bleu import BleuTotals
from cutline.metrics.bootstrap import Interval
from cutline.metrics.cider import Cider, DocumentFrequencies
from cutline.metrics.description import Description, describe
from cutline.metrics.ptb import ptb_tokenize
from cutline.metrics.scores import (
    ALL_METRICS,
    IMPLEMENTATION,
    Comparison,
    Difference,
    Scores,
    compare,
    score,
)

__all__ = [
    "ALL_METRICS",
    "IMPLEMENTATION",
    "BleuTotals",
    "Cider",
    "Comparison",
    "Description",
    "Difference",
    "DocumentFrequencies",
    "Interval",
    "Scores",
    "compare",
    "describe",
    "ptb_tokenize",
    "score",
]
