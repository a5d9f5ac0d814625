"""Safe loading: a network built on `meta`, compared with a file, and only then given weights.

PyTorch's `meta` device builds modules without allocating their tensors, so that what a stranger's
`config.json` asks for can be compared with the file's header first. The encoder comes before the
decoder, whose shapes depend on the size of its features.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from cutline.config import DecoderConfig, EncoderConfig, OutsideDecoderConfig
from cutline.decoders import Decoder, build_decoder
from cutline.encoders import Encoder, build_encoder
from cutline.errors import ModelError
from cutline.models.header import Entry
from cutline.network.network import Network
from cutline.network.storage import SCALE
from cutline.preprocessing import Preprocessing
from cutline.untrusted import shortened

__all__ = ["Described", "Read", "assemble", "check_fits"]

BACKBONE = "encoder.backbone."
DECODER = "decoder."
SMALL = 32  # a window of 32 x 32 regions has a table of 16 MB
DROPPED = 4_000  # tensors of a backbone that belong to stages which are cut off
DROPPED_NUMBERS = 200_000_000  # in them: VGG's classifier has 120 million

_FLOATS = {"F64", "F32", "F16", "BF16"}
_OTHERS = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}

Read = Callable[[list[str]], dict[str, Tensor]]


class Described(Protocol):
    """The fields of a `ModelConfig` that decide a network."""

    @property
    def encoder(self) -> EncoderConfig:
        """The encoder's recipe."""

    @property
    def decoder(self) -> DecoderConfig:
        """The decoder's recipe."""

    @property
    def vocabulary_size(self) -> int:
        """Number of words in the vocabulary."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of a picture to the encoder's input."""


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
    size = _feature_size(config, header)
    decoder = _bare_decoder(config, size)
    behind = {name: entry for name, entry in header.items() if name.startswith(DECODER)}
    check_fits(behind, {DECODER + name: tensor for name, tensor in decoder.state_dict().items()})
    encoder = _filled(encoder, read(list(wanted)), config)
    if encoder.feature_size != size:
        raise _misfit("decoder", f"reads features of {size} numbers, not {encoder.feature_size}")
    network = Network(encoder, decoder)
    check_fits(header, network.state_dict())
    rest = read([name for name in network.state_dict() if name not in wanted])
    if encoder.positions is not None:
        encoder.positions.data = rest.pop("encoder.positions")
    weights = {name.removeprefix(DECODER): tensor for name, tensor in rest.items()}
    decoder.load_state_dict(weights, strict=True, assign=True)
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
    """Build the encoder without memory; of a backbone that cannot be, no more than the file has.

    Options with large numbers may ask for large tables, too: nothing is allocated for them then.
    """
    numbers = sum(math.prod(entry.shape) for entry in header.values())
    plain = _plain(config.encoder.options)
    tables = torch.device("cpu" if plain else "meta")
    bound = partial(_at_most, len(header) + DROPPED, numbers + DROPPED_NUMBERS)
    try:
        with tables, _Blank(plain=plain), bound():
            return build_encoder(config.encoder, preprocessing=config.preprocessing)
    except NotImplementedError:
        with bound():
            return build_encoder(config.encoder, preprocessing=config.preprocessing)


def _filled(encoder: Encoder, found: Mapping[str, Tensor], config: Described) -> Encoder:
    """Give an encoder its weights.

    What a constructor computes and no file holds (tables of relative positions, say) may not be
    there without memory: an encoder that lacks such things is built once more, as it is.
    """
    tensors = {name.removeprefix(BACKBONE): tensor for name, tensor in found.items()}
    if any(parameter.is_meta for parameter in encoder.parameters()):
        encoder.backbone.load_state_dict(tensors, strict=True, assign=True)
        if not _lacks(encoder):
            encoder.backbone.to(memory_format=torch.channels_last)
            encoder.settle()
            return encoder
        encoder = build_encoder(config.encoder, preprocessing=config.preprocessing)
    encoder.backbone.load_state_dict(tensors, strict=True)
    return encoder


def _bare_decoder(config: Described, feature_size: int) -> Decoder:
    outside = isinstance(config.decoder, OutsideDecoderConfig)  # it may compute what it keeps
    bare = torch.random.fork_rng(devices=[]) if outside else _without_memory()
    with bare:
        return build_decoder(
            config.decoder, vocabulary_size=config.vocabulary_size, feature_size=feature_size
        )


@contextmanager
def _without_memory() -> Iterator[None]:
    with torch.device("meta"), _Blank():
        yield


def _feature_size(config: Described, header: Mapping[str, Entry]) -> int:
    """Tell the size of the features that a file's decoder reads by a shape that depends on it."""
    one, two = (_bare_decoder(config, size).state_dict() for size in (1, 2))
    for name, tensor in one.items():
        entry = header.get(DECODER + name)
        shape = entry.shape if entry else ()
        for a, b, there in zip(tensor.shape, two[name].shape, shape, strict=False):
            if a != b and there >= a:
                return int((there - a) // (b - a) + 1)
    return 1


def _plain(options: Any) -> bool:
    """Return whether options ask for no large tables: all numbers in them are small."""
    if isinstance(options, dict | list):
        parts = options.values() if isinstance(options, dict) else options
        return all(_plain(part) for part in parts)
    return not isinstance(options, int | float) or abs(options) <= SMALL


def _holds(entry: Entry, tensor: Tensor, scale: Entry | None) -> bool:
    """Return whether an entry is stored in one of the ways of `storage`."""
    if not tensor.is_floating_point():
        return entry.dtype == _OTHERS.get(tensor.dtype)
    if entry.dtype == "I8":
        return scale is not None and len(entry.shape) == 2 and scale[:2] == ("F32", entry.shape[:1])
    return entry.dtype in _FLOATS and scale is None


class _Blank(TorchFunctionMode):
    """Makes weights on `meta`, and lets them be as they are.

    What is computed of other tensors (tables of positions) is computed; but a large tensor is a
    weight, whatever it is filled with.
    """

    FULL = (torch.zeros, torch.ones, torch.full, torch.randn, torch.rand)
    LARGE = 1_000_000
    DRAWN = (
        "uniform_", "normal_", "constant_", "zeros_", "ones_", "zero_", "fill_",
        "erfinv_", "mul_", "add_", "clamp_",
    )  # fmt: skip

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty or (func in self.FULL and _count(args, kwargs) > self.LARGE):
            kwargs = {**kwargs, "device": "meta"}
        if func is torch.arange and kwargs.get("device") is not None and self.plain:
            kwargs = {**kwargs, "device": "cpu"}  # a table's, which asks where its weights are
        if func is torch.stack and args[0][0].is_meta:  # it would load a compiler
            dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            return torch.cat([tensor.unsqueeze(dim) for tensor in args[0]], dim)
        target = args[0] if args else kwargs.get("tensor")
        name = getattr(func, "__name__", "")
        if name.endswith(self.DRAWN) and isinstance(target, Tensor) and target.is_meta:
            return target
        return func(*args, **kwargs)


def _count(args: Any, kwargs: Any) -> int:
    """Return how many numbers a call such as `torch.zeros(2, 3)` makes."""
    sizes = [kwargs["size"]] if "size" in kwargs else list(args)
    flat = [n for size in sizes for n in (size if isinstance(size, list | tuple) else [size])]
    return math.prod(int(n) for n in flat if isinstance(n, int))


@contextmanager
def _at_most(tensors: int, numbers: int) -> Iterator[None]:
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
    """Return whether anything is left on `meta`: a buffer, or what a module keeps for itself."""
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
