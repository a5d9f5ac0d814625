"""Encoders: timm backbones that turn pictures into a grid of features."""

from cutline.encoders.backbone import Encoder, build_encoder
from cutline.encoders.kept import keep_norms

__all__ = ["Encoder", "build_encoder", "keep_norms"]
