"""The formats of results files, by the names that `--format` takes.

A new one is a class in a file of its own, and a line here.
"""

from cutline.results.formats.coco import Coco
from cutline.results.formats.comma_separated import Csv
from cutline.results.formats.format import Format, Record
from cutline.results.formats.json_lines import Json
from cutline.results.formats.text import Text

__all__ = ["FORMATS", "Format", "Record"]

# Whoever looks for the format of a file tries them in this order.
FORMATS: dict[str, type[Format]] = {
    "jsonl": Json,
    "json": Json,
    "csv": Csv,
    "coco": Coco,
    "text": Text,
}
