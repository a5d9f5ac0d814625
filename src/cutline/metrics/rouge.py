"""ROUGE-L, as the reference COCO evaluation counts it.

    P = max_r LCS(c, r) / |c|,  R = max_r LCS(c, r) / |r|
    ROUGE-L = (1 + beta^2) P R / (R + beta^2 P),  beta = 1.2

From 0 to 1; LCS is the length of the longest common subsequence. Lin, "ROUGE: A Package for
Automatic Evaluation of Summaries", ACL 2004 workshop, https://aclanthology.org/W04-1013.
"""

from collections.abc import Sequence

__all__ = ["BETA", "longest_common_subsequence", "rouge_l"]

BETA = 1.2


def rouge_l(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Compute ROUGE-L of one candidate.

    The reference reads an empty caption as one empty word, so two empty captions agree.

    >>> rouge_l("a red bus".split(), ["a red bus".split()])
    1.0
    """
    words = candidate or [""]
    readings = [reference or [""] for reference in references]
    common = [longest_common_subsequence(words, reading) for reading in readings]
    if not any(common):
        return 0.0
    P = max(common) / len(words)
    R = max(lcs / len(reading) for lcs, reading in zip(common, readings, strict=True))
    return (1 + BETA**2) * P * R / (R + BETA**2 * P)


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Count the words of the longest sequence that both contain, in order, with gaps.

    The classical table, one row at a time, with a row kept as the bits of one integer: bit i is 0
    where the best length grows at word i of `a` (Hyyro, "Bit-parallel LCS-length computation
    revisited", 2004).

    >>> longest_common_subsequence("a man rides a horse".split(), "a horse a man rides".split())
    3
    """
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        here = row & places.get(word, 0)
        row = ((row + here) | (row - here)) & full
    return len(a) - row.bit_count()
