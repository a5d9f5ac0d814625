"""Result files of captions: five formats, grown row by row, and sidecars.

formats   how a row is written and read back: text, json, csv; in `coco` COCO's results
rows      a picture and its caption, to be written and read back
names     names of any bytes in a text file, and which picture a name means
reading   what kind of file this is, its rows, and where the last whole one ends
output    a results file: begun with its first row, gone on with, mended, one writer at a time
sidecars  captions beside pictures, their names; what is there and stays
contents  what stands in a sidecar; xmp merges it into what other programs wrote
owners    whose a sidecar is
failures  the list of what failed, and why
drafts    what killed processes left
"""

from cutline.results.contents import sidecar_kinds
from cutline.results.drafts import cleared_drafts
from cutline.results.failures import FailureList
from cutline.results.formats import FORMATS, Format
from cutline.results.image_ids import image_id
from cutline.results.names import identity
from cutline.results.output import ResultsFile
from cutline.results.reading import read_rows, recognise
from cutline.results.rows import Framed, Row, StoredRow
from cutline.results.sidecars import Existing, Sidecars

__all__ = [
    "FORMATS",
    "Existing",
    "FailureList",
    "Format",
    "Framed",
    "ResultsFile",
    "Row",
    "Sidecars",
    "StoredRow",
    "cleared_drafts",
    "identity",
    "image_id",
    "read_rows",
    "recognise",
    "sidecar_kinds",
]
