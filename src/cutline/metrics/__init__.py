"""Scores of captions, equal to the reference COCO evaluation, without Java.

scores          score(): captions and references in, figures and a signature out
bleu            BLEU-1 to BLEU-4
rouge           ROUGE-L
cider           CIDEr, and CIDEr-D with given document frequencies
ngrams          counting n-grams
ptb             ptb_tokenize(): a caption to words
ptb_rules       the tokenizer's rules
ptb_characters  its letters, digits and symbols
"""

from cutline.metrics.bleu import BleuTotals, bleu, bleu_totals
from cutline.metrics.cider import DocumentFrequencies, cider_d, consensus, weigh
from cutline.metrics.ptb import ptb_tokenize
from cutline.metrics.rouge import rouge_l
from cutline.metrics.scores import ALL_METRICS, IMPLEMENTATION, Scores, score

__all__ = [
    "ALL_METRICS",
    "IMPLEMENTATION",
    "BleuTotals",
    "DocumentFrequencies",
    "Scores",
    "bleu",
    "bleu_totals",
    "cider_d",
    "consensus",
    "ptb_tokenize",
    "rouge_l",
    "score",
    "weigh",
]
