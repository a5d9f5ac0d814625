"""Graphs that take their weights out of `model.safetensors`, where the weights are stored once.

A weight in a graph is ONNX's external data: the file's name, an offset and a length. Weights that
are stored smaller are unpacked by the graph itself (half precision: a cast; bytes: a cast and a
product with the scale of each row), which a runtime does once, when it loads the graph.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import onnx_ir as ir

from cutline.export.building import insert_before
from cutline.models.header import data_begins, read_header

__all__ = ["Place", "places", "refer"]

KINDS = {
    "F64": ir.DataType.DOUBLE,
    "F32": ir.DataType.FLOAT,
    "F16": ir.DataType.FLOAT16,
    "I64": ir.DataType.INT64,
    "I32": ir.DataType.INT32,
    "I8": ir.DataType.INT8,
    "U8": ir.DataType.UINT8,
    "BOOL": ir.DataType.BOOL,
}
SCALE = ".scale"  # after the name of a tensor that is stored in bytes


class Place(NamedTuple):
    """Where a tensor lies in a file."""

    kind: ir.DataType
    shape: tuple[int, ...]
    offset: int
    length: int


def places(path: Path) -> dict[str, Place]:
    """Read where the tensors of a safetensors file lie."""
    begin = data_begins(path)
    return {
        name: Place(KINDS[entry.dtype], entry.shape, begin + entry.begin, entry.end - entry.begin)
        for name, entry in read_header(path).items()
    }


def refer(model: ir.Model, stored: Mapping[str, Place], location: str) -> None:
    """Replace the weights in a graph by references to where they are stored.

    Constants that are stored nowhere (a mask, the scale of pixels) stay in the graph.
    """
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        if name not in stored:
            continue
        if name + SCALE in stored or stored[name].kind == ir.DataType.FLOAT16:
            _unpack(graph, value, stored, location)
        else:
            value.const_value = _external(name, stored[name], location)


def _unpack(graph: ir.Graph, value: ir.Value, stored: Mapping[str, Place], location: str) -> None:
    """Let the graph make single precision of a stored tensor before it is first used."""
    name = str(value.name)
    readers = {use.node for use in value.uses()}
    first = next(node for node in graph if node in readers)
    packed = _initializer(graph, f"{name}.stored", name, stored, location)
    nodes = [ir.node("Cast", [packed], attributes={"to": ir.DataType.FLOAT})]
    if name + SCALE in stored:
        scale = _initializer(graph, name + SCALE, name + SCALE, stored, location)
        axis = ir.Value(name=f"{name}.axis", const_value=ir.tensor([1], name=f"{name}.axis"))
        graph.register_initializer(axis)
        nodes.append(ir.node("Unsqueeze", [scale, axis]))
        nodes.append(ir.node("Mul", [nodes[0].outputs[0], nodes[1].outputs[0]]))
    insert_before(graph, first, nodes, name)
    ir.convenience.replace_all_uses_with(value, nodes[-1].outputs[0])
    del graph.initializers[name]


def _initializer(
    graph: ir.Graph, name: str, tensor: str, stored: Mapping[str, Place], location: str
) -> ir.Value:
    value = ir.Value(
        name=name,
        type=ir.TensorType(stored[tensor].kind),
        shape=ir.Shape(stored[tensor].shape),
        const_value=_external(name, stored[tensor], location),
    )
    graph.register_initializer(value)
    return value


def _external(name: str, place: Place, location: str) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        location,
        place.offset,
        place.length,
        place.kind,
        shape=ir.Shape(place.shape),
        name=name,
    )
