"""Tracing: a network as three ONNX graphs (encode, start, step) by `torch.onnx`.

    encode   pixels (B, S, S, 3) bytes                  -> grid (B, R, D), pooled (B, D)
    start    grid, pooled                               -> memory.* (B, ...), state.* (B, ...)
    step     words (B, K), state.* (B, K, ...), memory.*, count (1,)
                  -> log_probs (B, K, V), best_log_probs, best_words (B, K, count),
                     state.* (B, K, ...), and attention (B, K, R), sentinel (B, K) where there are

The contract is what is traced: `prepare` and `start` make the second graph, `step` and `project`
the third, whatever they are made of. The numbers of images `B` and of captions an image `K` are
free. Log-probabilities of words that no caption may contain are minus infinity. Names after
`memory.` and `state.` are the fields of the decoder's own tuples; what no step reads is left out.

Shapes: `B` images, `K` captions an image, `S` side in pixels, `R` regions, `D` feature size, `V`
vocabulary.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch import Tensor, nn
from torch.nn import functional as F

from cutline.decoders import Decoder
from cutline.encoders import Encoder
from cutline.errors import UsageError
from cutline.export.operators import OPERATORS
from cutline.functional import Features

__all__ = ["Graphs", "trace"]

IMAGES, CAPTIONS = "images", "captions"  # names of the free sizes
REPORTS = ("attention", "sentinel")  # a decoder with a sentinel attends
SMALL = 64  # elements: larger constants are not computed here but by whoever loads the graph


class Graphs(NamedTuple):
    """The three graphs; their weights go by the names that they have in the network."""

    encode: ir.Model
    start: ir.Model
    step: ir.Model


class _Encode(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(pixels.permute(0, 3, 1, 2).contiguous())
        return features.grid, features.pooled


class _Start(nn.Module):
    def __init__(self, decoder: Decoder, height: int, width: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.size = height, width

    def forward(self, grid: Tensor, pooled: Tensor) -> tuple[Tensor, ...]:
        memory = self.decoder.prepare(Features(grid, pooled, *self.size))
        return tuple(_tensors(memory).values()) + tuple(
            _tensors(self.decoder.start(memory)).values()
        )


class _Step(nn.Module):
    """`like` are a memory and a state of which the tuples are taken."""

    def __init__(self, decoder: Decoder, banned: Sequence[int], like: tuple[Any, Any]) -> None:
        super().__init__()
        self.decoder = decoder
        self.banned = list(banned)
        self.memory, self.state = like

    def forward(self, words: Tensor, states: list[Tensor], memories: list[Tensor]) -> Any:
        images, captions = words.shape
        state = _filled(self.state, iter([tensor.flatten(0, 1) for tensor in states]))
        memory = _filled(self.memory, iter(memories))
        out = self.decoder.step(words.flatten(), state, memory)
        log_probs = F.log_softmax(self.decoder.project(out.output).float(), -1)
        # a sum: ONNX Runtime transposes twice to fill columns
        mask = torch.zeros(log_probs.shape[-1])
        log_probs = log_probs + mask.index_fill(0, torch.tensor(self.banned), -torch.inf)
        reported = (out.attention, out.sentinel)
        found = [log_probs, *_tensors(out.state).values()]
        found += [tensor for tensor in reported if tensor is not None]
        return [tensor.view(images, captions, *tensor.shape[1:]) for tensor in found]


@torch.no_grad()
def trace(encoder: Encoder, decoder: Decoder, *, banned: Sequence[int]) -> Graphs:
    """Trace a network that is on the CPU, as it is when it captions.

    Args:
        encoder: of any kind; its weights are called `encoder.*` in the graphs.
        decoder: any that keeps the contract; its weights are called `decoder.*`.
        banned: numbers of words that no caption may contain.

    Raises:
        UsageError: PyTorch cannot make a graph of it; the sentence says of which part and why.
    """
    encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
    decoder = copy.deepcopy(decoder).eval().requires_grad_(False)
    encoder.to(memory_format=torch.contiguous_format)  # else symbolic strides take a minute
    side = encoder.preprocessing.size
    pixels = torch.randint(256, (2, side, side, 3), dtype=torch.uint8)
    grid, pooled = _Encode(encoder)(pixels)
    # one object for each size: whatever goes by it is of the same size
    images = {0: torch.export.Dim(IMAGES)}
    both = {**images, 1: torch.export.Dim(CAPTIONS)}
    encode = _export("encoder", _Encode(encoder), (pixels,), (images,))
    _name(encode, ["pixels"], ["grid", "pooled"])

    memory = decoder.prepare(Features(grid, pooled, encoder.height, encoder.width))
    state = decoder.start(memory)
    memories, states = _tensors(memory, "memory"), _tensors(state, "state")
    first = _Start(decoder, encoder.height, encoder.width)
    start = _export("decoder's start", first, (grid, pooled), (images, images))
    _name(start, ["grid", "pooled"], [*memories, *states])

    of_captions = [
        torch.stack([tensor, tensor, tensor], 1).contiguous() for tensor in states.values()
    ]
    words = torch.arange(6).view(2, 3) % 4
    one_step = _Step(decoder, banned, (memory, state))
    reports = len(one_step(words, of_captions, list(memories.values()))) - 1 - len(states)
    step = _export(
        "decoder's step",
        one_step,
        (words, of_captions, list(memories.values())),
        (both, [both for _ in states], [images for _ in memories]),
    )
    found = ["log_probs", *states, *REPORTS[:reports]]
    _name(step, ["words", *states, *memories], found, new=True)
    _rank(step)
    unread = _drop_unread(step, memories)
    start.graph.outputs[:] = [o for o in start.graph.outputs if o.name not in unread]
    for graph in (start, step):
        optimizer.remove_unused_nodes(graph)
    return Graphs(encode, start, step)


def _export(what: str, module: nn.Module, example: Any, shapes: Any) -> ir.Model:
    """Trace one graph; fold constants but those made of weights, which are not known yet."""
    with _quiet():
        try:
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                dynamic_shapes=shapes,
                custom_translation_table=OPERATORS,
                optimize=False,
                verbose=False,
            )
        except Exception as error:  # PyTorch's exporter wraps whatever went wrong in a long report
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            hint = (
                "; a free size became a number: write x.shape[0] in the place of len(x)"
                if "specialized" in str(error) or "Constraints violated" in str(error)
                else ""
            )
            raise UsageError(
                f"PyTorch cannot make a graph of the {what}: {reason}{hint}"
            ) from error
    assert program is not None
    model: ir.Model = program.model
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    optimizer.fold_constants(
        model,
        input_size_limit=SMALL,
        output_size_limit=SMALL,
        should_fold=lambda node: False if _reads(node, weights) else None,
    )
    optimizer.remove_unused_nodes(model)
    _forget(model)
    return model


def _forget(model: ir.Model) -> None:
    """Drop what tells of the machine it was made on: stack traces with paths, PyTorch's names."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()


def _reads(node: ir.Node, weights: Mapping[str, Tensor]) -> bool:
    return any(value is not None and value.name in weights for value in node.inputs)


def _name(
    model: ir.Model, inputs: Sequence[str], outputs: Sequence[str], *, new: bool = False
) -> None:
    """Give inputs and outputs their names; `new` ones get `new.` before what is an input, too."""
    taken = set(inputs) if new else set()
    _separate(model.graph)
    for value, name in zip(model.graph.inputs, inputs, strict=True):
        value.name = name
    for value, name in zip(model.graph.outputs, outputs, strict=True):
        value.name = f"new.{name}" if name in taken else name


def _separate(graph: ir.Graph) -> None:
    """Let no output be an input, a weight or another output, too: each has one name only."""
    seen: set[ir.Value] = set()
    for place, value in enumerate(graph.outputs):
        if value.producer() is None or value in seen:
            node = ir.node("Identity", [value])
            node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
            graph.append(node)
            graph.outputs[place] = node.outputs[0]
        seen.add(value)


def _rank(model: ir.Model) -> None:
    """Add the best words: `count` of them, a number that is given with each call."""
    graph = model.graph
    log_probs = graph.outputs[0]
    count = ir.Value(name="count", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([1]))
    node = ir.node("TopK", [log_probs, count], attributes={"axis": -1}, num_outputs=2)
    kinds = (log_probs.dtype, ir.DataType.INT64)
    for value, name, kind in zip(
        node.outputs, ("best_log_probs", "best_words"), kinds, strict=True
    ):
        value.name, value.dtype = name, kind  # type: ignore[assignment]
        value.shape = ir.Shape([IMAGES, CAPTIONS, "count"])
    graph.append(node)
    graph.inputs.append(count)
    graph.outputs[1:1] = node.outputs


def _drop_unread(step: ir.Model, memories: Mapping[str, Tensor]) -> set[str]:
    """Leave out of a step what it does not read of the memory; return the names."""
    unread = {
        value.name for value in step.graph.inputs if value.name in memories and not value.uses()
    }
    step.graph.inputs[:] = [value for value in step.graph.inputs if value.name not in unread]
    return {name for name in unread if name is not None}


def _tensors(rows: Any, prefix: str = "") -> dict[str, Tensor]:
    """Name the tensors of a NamedTuple by its fields, nested ones with a dot between."""
    found: dict[str, Tensor] = {}
    for field, item in zip(rows._fields, rows, strict=True):
        name = f"{prefix}.{field}"
        found |= {name: item} if isinstance(item, Tensor) else _tensors(item, name)
    return found


def _filled(like: Any, tensors: Iterator[Tensor]) -> Any:
    """Put tensors in the places of those in a NamedTuple."""
    parts = (next(tensors) if isinstance(i, Tensor) else _filled(i, tensors) for i in like)
    return type(like)(*parts)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the exporter tells of its own progress and internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
