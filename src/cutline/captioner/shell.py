"""A network built without memory, compared with what a file has, and only then given weights.

PyTorch's `meta` device builds modules without allocating their tensors, so that what a stranger's
`config.json` asks for can be compared with the file's header first. The encoder comes before the
decoder, whose shapes depend on the size of its features.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from cutline.captioner.network import Network
from cutline.captioner.storage import SCALE
from cutline.config import DecoderConfig, EncoderConfig
from cutline.decoders import Decoder, build_decoder
from cutline.encoders import Encoder, build_encoder
from cutline.errors import ModelError
from cutline.models.header import Entry
from cutline.preprocessing import Preprocessing
from cutline.untrusted import shortened

__all__ = ["Described", "Read", "assemble", "check_fits"]

BACKBONE = "encoder.backbone."
DROPPED = 4_000  # tensors of a backbone that belong to stages which are cut off
DROPPED_NUMBERS = 200_000_000  # in them: VGG's classifier has 120 million

_FLOATS = {"F64", "F32", "F16", "BF16"}
_OTHERS = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}

Read = Callable[[list[str]], dict[str, Tensor]]


class Described(Protocol):
    """What of a `ModelConfig` decides a network."""

    @property
    def encoder(self) -> EncoderConfig:
        """The encoder's recipe."""

    @property
    def decoder(self) -> DecoderConfig:
        """The decoder's recipe."""

    @property
    def vocabulary_size(self) -> int:
        """How many words it knows."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the encoder's input."""


def assemble(config: Described, header: Mapping[str, Entry], read: Read) -> Network:
    """Build the network that `config` describes, with the tensors of a file.

    Args:
        config: encoder, decoder and vocabulary.
        header: what the file has.
        read: gives the tensors of some names, which become the network's own.

    Raises:
        ModelError: the file has not the tensors of such a network.
    """
    inside = {name: entry for name, entry in header.items() if name.startswith(BACKBONE)}
    encoder = _build_encoder(config, inside)
    wanted = {BACKBONE + name: tensor for name, tensor in encoder.backbone.state_dict().items()}
    check_fits(inside, wanted)
    found = read(list(wanted))
    backbone = {name: found[BACKBONE + name] for name in encoder.backbone.state_dict()}
    encoder = _filled(encoder, backbone, config)
    with torch.device("meta"), _Blank():
        decoder = _decoder(config, encoder)
    network = Network(encoder, decoder)
    check_fits(header, network.state_dict())
    rest = read([name for name in network.state_dict() if name not in wanted])
    if network.encoder.positions is not None:
        network.encoder.positions.data = rest.pop("encoder.positions")
    weights = {name.removeprefix("decoder."): tensor for name, tensor in rest.items()}
    decoder.load_state_dict(weights, strict=True, assign=True)
    if _lacks(decoder):
        network.decoder = _decoder(config, encoder)
        network.decoder.load_state_dict(weights, strict=True)
    return network


def check_fits(header: Mapping[str, Entry], wanted: Mapping[str, Tensor]) -> None:
    """Compare what a file has with the tensors of a network, by name, shape and type.

    Raises:
        ModelError: they are not the same; the first tensor that is not is named.
    """
    for name, tensor in wanted.items():
        entry = header.get(name)
        if entry is None:
            raise _misfit(name, "is missing")
        if entry.shape != tuple(tensor.shape):
            raise _misfit(name, f"has shape {_shape(entry.shape)}, not {_shape(tensor.shape)}")
        if not _holds(entry, tensor, header.get(name + SCALE)):
            raise _misfit(name, f"is of type {entry.dtype}, which is not how it is stored")
    scales = {name + SCALE for name in wanted if header[name].dtype == "I8"}
    for name in header:
        if name not in wanted and name not in scales:
            raise _misfit(name, "is of no part of the network")


def _build_encoder(config: Described, header: Mapping[str, Entry]) -> Encoder:
    """Build the encoder on `meta`; of a backbone that cannot be, no more than the file has."""
    numbers = sum(torch.Size(entry.shape).numel() for entry in header.values())
    try:
        with torch.device("meta"), _Blank(), _at_most(len(header) + DROPPED):
            return build_encoder(config.encoder, preprocessing=config.preprocessing)
    except NotImplementedError:
        with _at_most(len(header) + DROPPED, numbers + DROPPED_NUMBERS):
            return build_encoder(config.encoder, preprocessing=config.preprocessing)


def _filled(encoder: Encoder, tensors: Mapping[str, Tensor], config: Described) -> Encoder:
    """Give an encoder its weights.

    What a constructor computes and no file holds (tables of relative positions, say) is not there
    on `meta`: an encoder that has such things is built once more, as it is.
    """
    if any(parameter.is_meta for parameter in encoder.parameters()):
        encoder.backbone.load_state_dict(tensors, strict=True, assign=True)
        if not _lacks(encoder):
            encoder.backbone.to(memory_format=torch.channels_last)
            encoder.settle()
            return encoder
        encoder = build_encoder(config.encoder, preprocessing=config.preprocessing)
    encoder.backbone.load_state_dict(tensors, strict=True)
    return encoder


def _decoder(config: Described, encoder: Encoder) -> Decoder:
    return build_decoder(
        config.decoder,
        vocabulary_size=config.vocabulary_size,
        feature_size=encoder.feature_size,
    )


def _holds(entry: Entry, tensor: Tensor, scale: Entry | None) -> bool:
    """Whether an entry is stored in one of the ways of `storage`."""
    if not tensor.is_floating_point():
        return entry.dtype == _OTHERS.get(tensor.dtype)
    if entry.dtype == "I8":
        return scale is not None and len(entry.shape) == 2 and scale[:2] == ("F32", entry.shape[:1])
    return entry.dtype in _FLOATS and scale is None


class _Blank(TorchFunctionMode):
    """Lets tensors on `meta` be as they are: what is drawn for them would take time for nothing."""

    DRAWN = (
        "uniform_", "normal_", "constant_", "zeros_", "ones_", "zero_", "fill_",
        "erfinv_", "mul_", "add_", "clamp_",
    )  # fmt: skip

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        name = getattr(func, "__name__", "")
        if name.endswith(self.DRAWN) and isinstance(target, Tensor) and target.is_meta:
            return target
        return func(*args, **kwargs)


@contextmanager
def _at_most(tensors: int, numbers: float = float("inf")) -> Iterator[None]:
    """Stop building, within, at more parameters than a file can have."""
    found = [0, 0]
    here = threading.get_ident()

    def count(_: nn.Module, name: str, parameter: Any) -> None:
        if parameter is None or threading.get_ident() != here:
            return
        found[0] += 1
        found[1] += parameter.numel()
        if found[0] > tensors or found[1] > numbers:
            raise _misfit(name, "is one of many that it lacks")

    handle = hooks.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _lacks(network: nn.Module) -> bool:
    """Whether anything is left on `meta`, be it a buffer or what a module keeps for itself."""
    return any(_on_meta(vars(module)) for module in network.modules())


def _on_meta(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_meta
    if isinstance(value, dict):
        return any(_on_meta(part) for part in value.values())
    return isinstance(value, list | tuple) and any(_on_meta(part) for part in value)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of one number"


def _misfit(name: str, how: str) -> ModelError:
    return ModelError(
        f"model.safetensors does not fit config.json: '{shortened(name)}' {how}; both must come "
        "from the same save."
    )
