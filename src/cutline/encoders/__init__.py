"""Encoders: timm backbones that turn pictures into a grid of features."""

from cutline.encoders.backbone import Encoder, build_encoder

__all__ = ["Encoder", "build_encoder"]
