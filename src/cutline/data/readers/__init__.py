"""One reader per caption format, and the function that finds out which one is meant."""

from cutline.data.readers.recognise import open_dataset

__all__ = ["open_dataset"]
