"""Captioning at scale on Ray Data: shards in, shards out, on a laptop or a cluster.

inputs    pictures, Parquet files and tars, found by path or address
storage   local files and addresses such as s3://
tables    which column of a Parquet file holds pictures
shards    the pictures of a run, divided
pictures  those of a shard, one after the other
rows      a caption, or the reason why there is none; Parquet or JSON lines
workers   the actors, each with a captioner of its own
engine    Ray: connecting, and the pool of actors
run       shards that are not there yet are captioned
"""

from cutline.batch.engine import HERE, check_ray
from cutline.batch.rows import SUFFIXES
from cutline.batch.run import BatchRun, Done, Summary, caption_dataset, caption_paths, usable_model
from cutline.batch.workers import Captions

__all__ = [
    "HERE",
    "SUFFIXES",
    "BatchRun",
    "Captions",
    "Done",
    "Summary",
    "caption_dataset",
    "caption_paths",
    "check_ray",
    "usable_model",
]
