"""Graph editing: adding nodes to an ONNX graph."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["constant", "insert_before"]


def insert_before(graph: ir.Graph, place: ir.Node, nodes: Sequence[ir.Node], prefix: str) -> None:
    """Insert nodes, their outputs named by a prefix and a number."""
    for number, node in enumerate(nodes):
        for value in node.outputs:
            if value.name is None:
                value.name = f"{prefix}.{node.op_type.lower()}.{number}"
    graph.insert_before(place, list(nodes))


def constant(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """Return a constant of the graph, the same one for the same name."""
    if name in graph.initializers:
        return graph.initializers[name]
    tensor = ir.Tensor(array, name=name)
    value = ir.Value(
        name=name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape(tensor.shape),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value
