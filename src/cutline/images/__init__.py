"""Image reading: any picture as upright RGB, or a sentence that says why not.

`reading` is the way in; `sources` says where bytes come from, `kinds` what they are; `bands`,
`png` and `tiff` decode pictures too large to be decoded whole; `mending` opens those that are a
little broken; `colour`, `profiles` and `values` make RGB of them; `finding` walks folders;
`unreadable` skips and reports what cannot be read.
"""

from cutline.images.finding import FoundImages, find_images
from cutline.images.kinds import IMAGE_SUFFIXES
from cutline.images.reading import MAX_PIXELS, read_image
from cutline.images.sources import MAX_BYTES, Source

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "MAX_PIXELS",
    "FoundImages",
    "Source",
    "find_images",
    "read_image",
]
