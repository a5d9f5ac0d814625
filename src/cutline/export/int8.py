"""Products of a graph in eight bits: each column of a weight and each row of inputs has a scale.

    x W  ~  (q(x) q(W)) * row * column,      q(W) = round(W / column), q(x) = round(x / row)

The graph states the rounding of its weights as well, from weights in single precision; a runtime
does it once, when it loads the graph. Rows are rounded each on its own, so that a caption does not
depend on its neighbours in a batch. Both sides are unsigned bytes about a zero of 128: with signed
weights, processors without dot products of bytes (before VNNI) add pairs of products in 16 bits,
which overflow (96% of captions kept in the place of 100%).
"""

import numpy as np
import onnx_ir as ir

from cutline.export.building import constant, insert_before

__all__ = ["quantise"]

LARGEST = 127  # that a number becomes, about
ZERO = 128
LEAST = 1e-12  # the smallest scale


def quantise(model: ir.Model) -> int:
    """Let a graph's products with weights run in eight bits; return how many there are."""
    graph = model.graph
    found = 0
    for node in list(graph):
        weight = _weight(node, graph)
        if weight is not None:
            _replace(graph, node, weight, prefix=f"int8.{found}")
            found += 1
    return found


def _weight(node: ir.Node, graph: ir.Graph) -> ir.Value | None:
    """Return the weight (2-D) that a node multiplies with, if it is such a product."""
    if node.op_type not in ("MatMul", "Gemm"):
        return None
    value = node.inputs[1]
    source = value
    if source is not None and (maker := source.producer()) is not None:
        source = maker.inputs[0] if maker.op_type == "Transpose" else None
    if value is None or source is None or source.name not in graph.initializers:
        return None
    return value if source.shape is not None and len(source.shape) == 2 else None


def _replace(graph: ir.Graph, node: ir.Node, weight: ir.Value, *, prefix: str) -> None:
    def scalar(value: float, kind: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
        array = np.array(value, kind.numpy())
        return constant(graph, f"int8.{kind.name.lower()}.{value:g}", array)

    nodes: list[ir.Node] = []

    def do(op: str, *inputs: ir.Value | None, **attributes: object) -> ir.Value:
        nodes.append(ir.node(op, list(inputs), attributes=attributes))  # type: ignore[arg-type]
        return nodes[-1].outputs[0]

    first = constant(graph, "int8.axis.0", np.array([0]))
    last = constant(graph, "int8.axis.-1", np.array([-1]))
    if node.op_type == "Gemm" and node.attributes.get_int("transB", False):
        weight = do("Transpose", weight, perm=[1, 0])
    zero = scalar(ZERO, ir.DataType.UINT8)

    def rounded(value: ir.Value | None, axis: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return bytes, and the scale along an axis."""
        span = do("Max", do("ReduceMax", do("Abs", value), axis, keepdims=1), scalar(LEAST))
        scale = do("Div", span, scalar(LARGEST))
        shifted = do("Add", do("Round", do("Div", value, scale)), scalar(ZERO))
        return do("Cast", shifted, to=ir.DataType.UINT8), scale

    whole, column = rounded(weight, first)  # constants of the runtime
    byte, row = rounded(node.inputs[0], last)
    total = do("Cast", do("MatMulInteger", byte, whole, zero, zero), to=ir.DataType.FLOAT)
    result = do("Mul", do("Mul", total, row), column)
    if node.op_type == "Gemm" and len(node.inputs) > 2 and node.inputs[2] is not None:
        result = do("Add", result, node.inputs[2])
    insert_before(graph, node, nodes, prefix)
    output = node.outputs[0]
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    result.type, result.shape = output.type, output.shape
    graph.remove(node, safe=True)
