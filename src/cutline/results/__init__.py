"""Result files of captions: five formats, grown row by row, and sidecars.

formats   how a row is written and read back: text, json, csv; in `coco` COCO's results
names     names of any bytes in a text file, and which picture a name means
reading   what kind of file this is, its rows, and where the last whole one ends
output    a results file: begun with its first row, gone on with, mended, one writer at a time
sidecars  captions beside pictures; whose each is
"""

from cutline.results.formats import FORMATS, Format
from cutline.results.image_ids import image_id
from cutline.results.names import identity
from cutline.results.output import ResultsFile
from cutline.results.reading import read_rows, recognise
from cutline.results.rows import Row, StoredRow
from cutline.results.sidecars import Sidecars, sidecar_kinds

__all__ = [
    "FORMATS",
    "Format",
    "ResultsFile",
    "Row",
    "Sidecars",
    "StoredRow",
    "identity",
    "image_id",
    "read_rows",
    "recognise",
    "sidecar_kinds",
]
