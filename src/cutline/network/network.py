"""Network: encoder and decoder as one module."""

import torch
from torch import Tensor, nn

from cutline.config import DecoderConfig, EncoderConfig
from cutline.decoders import Decoder, build_decoder
from cutline.encoders import Encoder, build_encoder
from cutline.functional import Features
from cutline.preprocessing import Preprocessing

__all__ = ["Network", "build_network"]


class Network(nn.Module):
    """Pictures or their cached features in, `Features` out; the decoder beside."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def features(self, inputs: Tensor) -> Features:
        """Encode bytes (B, 3, S, S), or unpack features (B, R, D) that were computed before."""
        if inputs.dtype == torch.uint8:
            features: Features = self.encoder(inputs)
            return features
        return self.encoder.unpack(inputs.float())


def build_network(
    encoder: EncoderConfig,
    decoder: DecoderConfig,
    *,
    vocabulary_size: int,
    preprocessing: Preprocessing | None = None,
) -> Network:
    """Build both parts with fresh weights, the encoder's pretrained where the recipe says so.

    With the `preprocessing` of a saved model no pretrained weights are looked for: the model's own
    will be loaded.
    """
    eyes = build_encoder(encoder, preprocessing=preprocessing)
    return Network(
        eyes,
        build_decoder(decoder, vocabulary_size=vocabulary_size, feature_size=eyes.feature_size),
    )
