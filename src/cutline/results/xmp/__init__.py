"""XMP sidecars (ISO 16684-1): captions merged into a file that other programs own, too.

reading  where in the bytes of a sidecar its descriptions stand; strangers' files refused
writing  a new sidecar; and one that exists, changed in a few places and nowhere else
"""

from cutline.results.xmp.reading import LARGEST, Described, Xmp, described, parse_xmp
from cutline.results.xmp.writing import merged_xmp, new_xmp

__all__ = ["LARGEST", "Described", "Xmp", "described", "merged_xmp", "new_xmp", "parse_xmp"]
