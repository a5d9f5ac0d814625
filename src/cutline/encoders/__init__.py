"""Encoders: timm backbones that turn pictures into a grid of features."""

from cutline.encoders.light import lightly

with lightly():
    import timm  # noqa: F401

from cutline.encoders.backbone import Encoder, build_encoder
from cutline.encoders.folded import fold
from cutline.encoders.kept import keep_norms

__all__ = ["Encoder", "build_encoder", "fold", "keep_norms"]
