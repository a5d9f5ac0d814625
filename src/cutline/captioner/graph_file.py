"""ONNX graph checks: nodes and weights of a file, looked at without running it.

ONNX Runtime computes what is constant while it loads a graph, and opens the files that a graph
names; so a graph from a stranger is looked at before. The file is a protobuf message: a row of
fields, each a key (its number, and how its value is written), then its value. The numbers below are
those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cutline.captioner.weights import WEIGHTS
from cutline.errors import ModelError
from cutline.files import printable
from cutline.models.header import Entry
from cutline.untrusted import MEGABYTE, check_size, shortened

__all__ = ["check_graph"]

LARGEST = 32 * MEGABYTE  # bytes of a graph, which holds no weights
MOST = 20_000  # nodes and weights: timm's deepest backbones have 5,000
MOST_FIELDS = 300_000  # of messages within messages
STORED = ".stored"  # after the name of a weight that the graph unpacks

MODEL_GRAPH, MODEL_FUNCTION = 7, 25
GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 1, 5, 15
NODE_KIND, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = (5, 10), (6, 11, 22, 23)  # or sparse tensors
TENSOR_DIMS, TENSOR_KIND, TENSOR_NAME, TENSOR_PLACE, TENSOR_OUTSIDE = 1, 2, 8, 13, 14
KINDS = {1: "F32", 2: "U8", 3: "I8", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64"}

WHOLE, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a value is written

Field = tuple[int, int, int]  # its number, and the first and last byte of its value


class _GraphError(Exception):
    """A fault of a graph, in words."""


def check_graph(path: Path, stored: Mapping[str, Entry]) -> set[str]:
    """Look at a graph, and return the names of the tensors that it takes from `WEIGHTS`.

    Args:
        path: the graph.
        stored: what the file of weights beside it has, and where in the file.

    Raises:
        ModelError: it is no ONNX file, it is too large, it has nodes that no export of Cutline has
            (loops, branches, functions, another domain's), or its weights are not those of the
            file.
    """
    check_size(path, at_most=LARGEST)
    try:
        return _Graph(path.read_bytes(), stored).check()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except _GraphError as error:
        reason = str(error)
    except (IndexError, UnicodeDecodeError):
        reason = "is cut off or damaged"
    raise ModelError(
        f"{printable(path)} {reason}; copy the folder again, or export the model again."
    ) from None


class _Graph:
    """The bytes of an ONNX file, and the tensors beside it."""

    def __init__(self, data: bytes, stored: Mapping[str, Entry]) -> None:
        self.data = data
        self.stored = stored
        self.left = MOST_FIELDS

    def check(self) -> set[str]:
        """Return the names of the stored tensors that are used."""
        taken: set[str] = set()
        found = list(self.fields(0, len(self.data)))
        if not any(number == MODEL_GRAPH for number, *_ in found):
            raise _GraphError("is empty, or no ONNX file")
        if any(number == MODEL_FUNCTION for number, *_ in found):
            raise _GraphError("has functions of its own, which no export of Cutline has")
        graphs = [place for number, *place in found if number == MODEL_GRAPH]
        parts = [part for place in graphs for part in self.fields(*place)]
        if len(parts) > MOST:
            raise _GraphError(f"has {len(parts):,} nodes and weights; {MOST:,} are allowed")
        for number, begin, end in parts:
            if number == GRAPH_NODE:
                self.check_node(begin, end)
            elif number == GRAPH_TENSOR:
                taken |= self.check_tensor(begin, end)
            elif number == GRAPH_SPARSE:
                raise _GraphError("has sparse weights, which no export of Cutline has")
        return taken

    def check_node(self, begin: int, end: int) -> None:
        """Refuse a node that is of another domain, or runs a graph of its own."""
        kind = domain = ""
        own = False
        for number, *place in self.fields(begin, end):
            if number == NODE_KIND:
                kind = self.text(*place)
            elif number == NODE_DOMAIN:
                domain = self.text(*place)
            elif number == NODE_ATTRIBUTE:
                for part, *inner in self.fields(*place):
                    own |= part in ATTRIBUTE_GRAPHS
                    if part in ATTRIBUTE_TENSORS and self.check_tensor(*inner):
                        raise _GraphError(f"takes weights from {WEIGHTS} within a node")
        if domain or own:
            kind = shortened(f"{domain}.{kind}" if domain else kind, longest=60)
            raise _GraphError(f"has a node of the kind '{kind}', which no export of Cutline has")

    def check_tensor(self, begin: int, end: int) -> set[str]:
        """Return its name if it is a stored tensor; refuse any other that is not in the graph."""
        shape: list[int] = []
        place: dict[str, str] = {}
        name, kind, outside = "", 0, False
        for number, first, last in self.fields(begin, end):
            if number == TENSOR_DIMS:
                shape += [first] if last < 0 else self.packed(first, last)
            elif number == TENSOR_KIND:
                kind = first
            elif number == TENSOR_NAME:
                name = self.text(first, last)
            elif number == TENSOR_PLACE:
                told = {key: self.text(*of) for key, *of in self.fields(first, last)}
                place[told.get(1, "")] = told.get(2, "")
                outside = True
            elif number == TENSOR_OUTSIDE:
                outside |= first != 0
        if not outside:
            return set()
        if place.get("location") != WEIGHTS:
            where = shortened(repr(place.get("location", "")), longest=60)
            raise _GraphError(
                f"takes '{shortened(name)}' from {where}, but weights lie in {WEIGHTS} only"
            )
        name = name.removesuffix(STORED)
        self.compare(name, shape, kind, (place.get("offset", ""), place.get("length", "")))
        return {name}

    def compare(self, name: str, shape: list[int], kind: int, place: tuple[str, str]) -> None:
        """Refuse a tensor that is not the stored one of its name."""
        entry, wanted = self.stored.get(name), KINDS.get(kind, f"number {kind}")
        if entry is None:
            how = "is missing"
        elif list(entry.shape) != shape:
            how = f"has shape {_shape(entry.shape)}, not {_shape(shape)}"
        elif entry.dtype != wanted:
            how = f"is of type {entry.dtype}, not {wanted}"
        elif place != (str(entry.begin), str(entry.end - entry.begin)):
            how = "lies in another place"
        else:
            return
        raise _GraphError(
            f"does not fit {WEIGHTS}: '{shortened(name)}' {how} there; both must come from the "
            "same save"
        )

    def fields(self, at: int, end: int) -> Iterator[Field]:
        """Read the fields of a message; a whole number stands in the place of `begin`, then -1."""
        data = self.data
        while at < end:
            key, at = self.varint(at) if data[at] & 128 else (data[at], at + 1)
            how = key & 7
            if how in (FIXED32, FIXED64):
                begin, last = at, at + (4 if how == FIXED32 else 8)
            elif how in (WHOLE, BYTES):
                whole, at = self.varint(at) if data[at] & 128 else (data[at], at + 1)
                begin, last = (at, at + whole) if how == BYTES else (whole, -1)
            else:
                raise IndexError
            at = max(at, last)
            self.left -= 1
            if at > end or self.left < 0:
                raise IndexError
            yield key >> 3, begin, last

    def varint(self, at: int) -> tuple[int, int]:
        """Read a whole number, seven bits a byte; return it, and where the next field is."""
        value = shift = 0
        while shift < 70:
            byte = self.data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
        raise IndexError

    def packed(self, at: int, end: int) -> list[int]:
        """Read whole numbers that stand without keys."""
        found = []
        while at < end:
            value, at = self.varint(at)
            found.append(value)
        return found

    def text(self, begin: int, end: int) -> str:
        """Read a text."""
        return self.data[begin:end].decode() if end >= 0 else ""


def _shape(shape: tuple[int, ...] | list[int]) -> str:
    return " x ".join(map(str, shape[:8])) or "of one number"
