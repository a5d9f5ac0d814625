"""Anybody's captions and references, as files: read, and brought together by image.

Every text is taken as it stands, but for the `perhaps: ` that Cutline writes before unsure ones.
"""

from cutline.data.results.matching import PROBLEMS, Matched, match
from cutline.data.results.names import pair
from cutline.data.results.read import read_references, read_results
from cutline.data.results.records import Found, Record

__all__ = [
    "PROBLEMS",
    "Found",
    "Matched",
    "Record",
    "match",
    "pair",
    "read_references",
    "read_results",
]
