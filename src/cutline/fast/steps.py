"""Decoders whose single steps are faster: additive attention without a `tanh` for each pair.

For search on PyTorch, for scheduled sampling and rollouts, and for GPUs. `faster_steps` returns a
decoder of another class that shares the weights of the one given, which stays as it is.

Shapes: as in the decoders.
"""

import copy
from typing import Any

from torch import Tensor

from cutline.decoders import Adaptive, Decoder, Hard, Nic, Rnn, Soft, Spatial
from cutline.decoders.attend_and_tell import Memory as GridMemory
from cutline.decoders.head import Headed
from cutline.decoders.spatial import Memory as SpatialMemory
from cutline.fast.additive import adaptive_attention, additive_attention, prepare_keys
from cutline.fast.products import cast_once
from cutline.functional import Features

__all__ = ["FASTER_STEPS", "as_published", "faster_steps"]


class _Soft(Soft):
    def prepare(self, features: Features) -> Any:
        return _with_keys(super().prepare(cast_once(features)))

    def attend(self, h: Tensor, memory: Any) -> tuple[Tensor, Tensor]:
        return additive_attention(h, memory.keys, memory.grid, self.W_h, self.v)


class _Hard(Hard):
    def prepare(self, features: Features) -> Any:
        return _with_keys(super().prepare(cast_once(features)))

    def attend(self, h: Tensor, memory: Any) -> tuple[Tensor, Tensor]:
        return additive_attention(h, memory.keys, memory.grid, self.W_h, self.v)


class _Spatial(Spatial):
    def prepare(self, features: Features) -> Any:
        return _with_keys(super().prepare(features))

    def attend(self, h: Tensor, memory: Any) -> tuple[Tensor, Tensor]:
        return additive_attention(h, memory.keys, memory.V, self.W_g, self.w_z)


class _Adaptive(Adaptive):
    def prepare(self, features: Features) -> Any:
        return _with_keys(super().prepare(features))

    def attend_adaptively(
        self, h: Tensor, s: Tensor, memory: Any, closed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        return adaptive_attention(h, s, memory.keys, memory.V, self.W_g, self.W_s, self.w_z, closed)


FASTER_STEPS: dict[type[Decoder], type[Decoder]] = {
    Soft: _Soft,
    Hard: _Hard,
    Spatial: _Spatial,
    Adaptive: _Adaptive,
}
"""By exact type: a class that is derived from one of these goes by its own steps."""


METHODS = {
    "prepare", "start", "step", "project",
    "attend", "attend_adaptively", "context", "drop", "first_state",
}  # fmt: skip


_PUBLISHED = {
    kind: {name: getattr(kind, name, None) for name in METHODS}
    for kind in (*FASTER_STEPS, Nic, Rnn, Headed)
}


def as_published(decoder: Decoder) -> bool:
    """Say whether no method was replaced, neither the decoder's own nor its class's."""
    published = _PUBLISHED.get(type(decoder), {})
    return not METHODS & vars(decoder).keys() and all(
        getattr(type(decoder), name, None) is method for name, method in published.items()
    )


def faster_steps(decoder: Decoder) -> Decoder:
    """Return a decoder with the same weights and faster steps, or the one given: there is none.

    Its memory has `fast.additive.Keys` in the place of keys, so that the steps of one must not be
    given the memory of the other.
    """
    if not as_published(decoder):
        return decoder
    if type(decoder) is Headed:
        inner = faster_steps(decoder.decoder)
        return decoder if inner is decoder.decoder else _copied(decoder, Headed, decoder=inner)
    kind = FASTER_STEPS.get(type(decoder))
    return decoder if kind is None else _copied(decoder, kind)


def _copied(original: Decoder, /, kind: type[Decoder], **modules: Decoder) -> Decoder:
    """Copy a module but not its weights; the copy's own table of submodules has others in it."""
    other = copy.copy(original)
    other.__class__ = kind
    other._modules = {**original._modules, **modules}
    return other


def _with_keys(memory: GridMemory | SpatialMemory) -> Any:
    keys: Any = prepare_keys(memory.keys)
    return memory._replace(keys=keys)
