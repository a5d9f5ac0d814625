"""Shards: data sets in tar (WebDataset) or Parquet files, read image by image, never as a whole.

`tar` and `parquet` list the images of one shard; `index` keeps them in an SQLite file, so that an
image is found by its number; `pictures` read one by random access; `examples` are what the rest of
the package sees; `reading` is the way in.
"""

from cutline.data.readers.shards.examples import ShardDataset, ShardExamples
from cutline.data.readers.shards.pictures import ShardPicture

__all__ = ["ShardDataset", "ShardExamples", "ShardPicture"]
