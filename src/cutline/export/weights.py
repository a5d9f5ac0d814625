"""External weights: graphs that refer to `model.safetensors`, where weights are stored once.

A weight in a graph is ONNX's external data: the file's name, an offset and a length. Weights that
are stored smaller are unpacked by the graph itself (half precision: a cast; bytes: a cast and a
product with the scale of each row), which a runtime does once, when it loads the graph.
"""

from collections.abc import Mapping

import onnx_ir as ir

from cutline.captioner.weights import SCALE
from cutline.export.building import insert_before
from cutline.models.header import Entry

__all__ = ["refer"]

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


def refer(model: ir.Model, stored: Mapping[str, Entry], location: str) -> None:
    """Replace the weights in a graph by references to where they are stored.

    Constants that are stored nowhere (a mask, the scale of pixels) stay in the graph.

    Args:
        model: the graph.
        stored: the tensors of a safetensors file, by `file_offsets`.
        location: the file's name, relative to the graph's.
    """
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        if name not in stored:
            continue
        if name + SCALE in stored or stored[name].dtype == "F16":
            _unpack(graph, value, stored, location)
        else:
            value.const_value = _external(name, stored[name], location)


def _unpack(graph: ir.Graph, value: ir.Value, stored: Mapping[str, Entry], location: str) -> None:
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
    graph: ir.Graph, name: str, tensor: str, stored: Mapping[str, Entry], location: str
) -> ir.Value:
    value = ir.Value(
        name=name,
        type=ir.TensorType(KINDS[stored[tensor].dtype]),
        shape=ir.Shape(stored[tensor].shape),
        const_value=_external(name, stored[tensor], location),
    )
    graph.register_initializer(value)
    return value


def _external(name: str, entry: Entry, location: str) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        location,
        entry.begin,
        entry.end - entry.begin,
        KINDS[entry.dtype],
        shape=ir.Shape(entry.shape),
        name=name,
    )
