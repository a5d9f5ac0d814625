"""Graphs from strangers: each is refused in one sentence, before ONNX Runtime runs any of it."""

import contextlib
import json
import os
import shutil
import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cutline.captioner import load
from cutline.data.scenes import ScenePicture
from cutline.errors import ModelError
from cutline.models import find_model

SHIPPED = find_model("flickr8k-small")
GRAPHS = ["encode.onnx", "start.onnx", "step.onnx", "step.int8.onnx"]
PHOTO = ScenePicture(3, 64).open()


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "stranger")


def refusal(folder, *, precision="float32", caption=False) -> str:
    def do():
        captioner = load(folder, precision=precision)
        assert caption
        captioner.caption(PHOTO)

    with pytest.raises(ModelError) as caught:
        do()
    said = str(caught.value)
    assert folder.name in said
    assert said.isprintable()
    assert len(said) < 600 + len(str(folder))
    return said


def change(folder, name, how):
    """Let `how` change a graph that is on disk."""
    graph = onnx.load(folder / name, load_external_data=False)
    how(graph)
    (folder / name).write_bytes(graph.SerializeToString())


def kept(graph):
    """Return the graph's stored weights."""
    return [t for t in graph.graph.initializer if t.data_location == TensorProto.EXTERNAL]


def put(path, what):
    """Put something that is no file in a file's place."""
    path.unlink()
    what(path)


# --- files


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_is_missing_is_named_with_what_makes_it(folder, name):
    (folder / name).unlink()
    if name == "step.int8.onnx":
        assert load(folder).caption(PHOTO).text  # float32 does without
    said = refusal(folder, precision="int8" if "int8" in name else "float32")
    assert f"has no {name}" in said
    assert "cutline export" in said


@pytest.mark.parametrize("name", GRAPHS[:3])
@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"\x08", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 5000, b"{}", b"PK\3\4" * 99,
     np.random.default_rng(0).bytes(20_000), b"\x0a\x00" * 1_000_000],
)  # fmt: skip
def test_what_is_no_graph_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    assert name in refusal(folder)


@pytest.mark.parametrize("name", GRAPHS[:3])
def test_a_graph_that_is_cut_anywhere_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    for share in (0.01, 0.3, 0.6, 0.9, 0.999):
        (folder / name).write_bytes(whole[: int(len(whole) * share)])
        assert name in refusal(folder)


def test_a_graph_with_bytes_that_differ_is_refused_or_captions(folder):
    whole = (folder / "step.onnx").read_bytes()
    dice = np.random.default_rng(1)
    for _ in range(8):
        damaged = bytearray(whole)
        damaged[int(dice.integers(len(whole)))] = int(dice.integers(256))
        (folder / "step.onnx").write_bytes(damaged)
        with contextlib.suppress(ModelError):
            load(folder).caption(PHOTO, max_words=2)


@pytest.mark.parametrize("name", GRAPHS[:3])
def test_what_is_no_file_is_refused_and_waits_for_nobody(folder, name):
    for what, said in (
        (os.mkfifo, "a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.symlink_to("/nowhere"), "No such file"),
        (os.mkdir, "a folder"),
    ):
        put(folder / name, what)
        assert said in refusal(folder)


@pytest.mark.parametrize("name", GRAPHS[:3])
def test_a_graph_of_absurd_size_is_refused_before_it_is_read(folder, name):
    os.truncate(folder / name, 2**31)
    assert "is not read" in refusal(folder)


@pytest.mark.parametrize("name", GRAPHS[:3])
def test_a_graph_that_is_another_one_is_refused(folder, name):
    for other in {*GRAPHS[:3]} - {name}:
        shutil.copy(SHIPPED / other, folder / name)
        said = refusal(folder)
        assert name in said
        assert "same save" in said


# --- weights


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/passwd", "./model.safetensors", "config.json", "", "a\nb", "\x1b[2J"],
)
@pytest.mark.parametrize("name", ["encode.onnx", "step.onnx"])
def test_weights_are_taken_from_no_other_file(folder, name, location):
    def elsewhere(graph):
        kept(graph)[-1].external_data[0].value = location

    (folder.parent / "secret").write_bytes(bytes(10_000_000))
    change(folder, name, elsewhere)
    assert "lie in model.safetensors only" in refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("offset", "15416990"), ("offset", "999999999999"), ("offset", "-8"), ("offset", "8"),
     ("length", "99999999999"), ("length", "1"), ("length", "x"), ("offset", str(2**64))],
)  # fmt: skip
def test_a_weight_lies_where_the_file_says(folder, key, value):
    def move(graph):
        for pair in kept(graph)[-1].external_data:
            pair.value = value if pair.key == key else pair.value

    change(folder, "step.onnx", move)
    assert "lies in another place" in refusal(folder)


def test_a_weight_has_the_name_shape_and_type_of_the_file(folder):
    def renamed(graph):
        kept(graph)[0].name = "decoder.none"

    def reshaped(graph):
        kept(graph)[0].dims[0] = 10**9

    def retyped(graph):
        kept(graph)[0].data_type = TensorProto.DOUBLE

    def unplaced(graph):
        del kept(graph)[0].external_data[1:]

    for how, said in (
        (renamed, "is missing"),
        (reshaped, "has shape"),
        (retyped, "is of type"),
        (unplaced, "another place"),
    ):
        shutil.copy(SHIPPED / "step.onnx", folder)
        change(folder, "step.onnx", how)
        assert said in refusal(folder)


def test_weights_that_were_saved_again_in_another_order_are_refused(folder):
    """Or the graphs would read other numbers, and caption nonsense."""
    data = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.dumps({**json.loads(data[8 : 8 + length]), "__metadata__": {"by": "x" * 40}})
    text = header.encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + data[8 + length :]
    )
    assert "lies in another place" in refusal(folder)


# --- nodes


def appended(*nodes, constants=()):
    def add(graph):
        graph.graph.node.extend(nodes)
        graph.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants)

    return add


def loop():
    """A loop of nine quintillion turns."""
    turns = [helper.make_tensor_value_info(n, TensorProto.INT64, []) for n in ("i",)]
    flags = [helper.make_tensor_value_info(n, TensorProto.BOOL, []) for n in ("go", "on")]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])], "b", [*turns, flags[0]], [flags[1]]
    )
    return appended(
        helper.make_node("Loop", ["turns", ""], [], body=body),
        constants=[("turns", np.array(2**63 - 1))],
    )


def branch():
    value = helper.make_tensor_value_info("one", TensorProto.INT64, [])
    body = helper.make_graph(
        [helper.make_node("Constant", [], ["one"], value_int=1)], "b", [], [value]
    )
    return appended(
        helper.make_node("If", ["yes"], ["two"], then_branch=body, else_branch=body),
        constants=[("yes", np.array(True))],
    )


def function(graph):
    node = helper.make_node("Identity", ["a"], ["b"])
    opsets = [helper.make_opsetid("", 20)]
    graph.functions.append(helper.make_function("own", "f", ["a"], ["b"], [node], opsets))


def outside(graph):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "t")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../x")
    graph.graph.node.append(helper.make_node("Constant", [], ["t"], value=tensor))


def many(graph):
    graph.graph.node.extend(
        helper.make_node("Identity", ["words"], [f"copy.{n}"]) for n in range(20_001)
    )


def sparse(graph):
    graph.graph.sparse_initializer.append(onnx.SparseTensorProto(dims=[10**9]))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (loop(), "of the kind 'Loop'"),
        (branch(), "of the kind 'If'"),
        (function, "functions of its own"),
        (sparse, "sparse weights"),
        (many, "20,000 are allowed"),
        (outside, "takes 't' from '../x'"),
        (appended(helper.make_node("Frobnicate", ["words"], ["f"])), "cannot be loaded"),
        (appended(helper.make_node("Gelu", ["words"], ["f"], domain="com.microsoft")), "microsoft"),
        (appended(helper.make_node("A\x1b[2J", ["words"], ["f"], domain="x")), "x.A"),
        (appended(helper.make_node("Exp", ["nothing"], ["f"])), "cannot be loaded"),
    ],
)
def test_a_node_that_no_export_has_is_refused(folder, how, said):
    change(folder, "step.onnx", how)
    assert said in refusal(folder)


def test_a_giant_constant_is_not_computed_while_loading(folder):
    """It is of 40 GB; the first caption makes it, which fails in a sentence."""
    size = ("size", np.array([100_000, 100_000]))
    node = helper.make_node("ConstantOfShape", ["size"], ["giant"])
    change(folder, "step.onnx", appended(node, constants=[size]))
    captioner = load(folder)
    with pytest.raises(ModelError, match="cannot be run"):
        captioner.caption(PHOTO)


def test_a_giant_that_is_computed_while_captioning_is_refused(folder):
    def grow(graph):
        appended(
            helper.make_node("ConstantOfShape", ["size"], ["giant"]),
            helper.make_node("ReduceSum", ["giant"], ["sum"], keepdims=0),
            helper.make_node("Add", ["sum", "log_probs.before"], ["log_probs"]),
            constants=[("size", np.array([10**6, 10**6, 10**3]))],
        )(graph)
        for node in list(graph.graph.node)[:-3]:
            node.output[:] = [n if n != "log_probs" else "log_probs.before" for n in node.output]
            node.input[:] = [n if n != "log_probs" else "log_probs.before" for n in node.input]

    change(folder, "step.onnx", grow)
    said = refusal(folder, caption=True)
    assert "cannot be run" in said or "cannot be loaded" in said


# --- inputs and outputs


def value_named(graph, name):
    return next(v for v in (*graph.graph.input, *graph.graph.output) if v.name == name)


def retyped(graph, value):
    value_named(graph, value).type.tensor_type.elem_type = TensorProto.DOUBLE


def reshaped(graph, value):
    value_named(graph, value).type.tensor_type.shape.dim[-1].dim_value = 5


def renamed(graph, value):
    for node in graph.graph.node:
        node.input[:] = ["x" if name == value else name for name in node.input]
        node.output[:] = ["x" if name == value else name for name in node.output]
    value_named(graph, value).name = "x"


VALUES = [
    ("encode.onnx", "pixels"), ("encode.onnx", "grid"), ("encode.onnx", "pooled"),
    ("start.onnx", "grid"), ("start.onnx", "state.h"), ("start.onnx", "memory.grid"),
    ("step.onnx", "words"), ("step.onnx", "count"), ("step.onnx", "state.h"),
    ("step.onnx", "log_probs"), ("step.onnx", "best_words"), ("step.onnx", "new.state.c"),
    ("step.onnx", "memory.grid"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_what_goes_in_and_out_has_its_name(folder, name, value):
    change(folder, name, lambda graph: renamed(graph, value))
    refusal(folder)


@pytest.mark.parametrize(("name", "value"), [VALUES[0], VALUES[2], VALUES[6], VALUES[8]])
def test_what_goes_in_and_out_has_its_type(folder, name, value):
    change(folder, name, lambda graph: retyped(graph, value))
    refusal(folder)


@pytest.mark.parametrize(("name", "value"), [VALUES[1], VALUES[4], VALUES[9], VALUES[10]])
def test_a_shape_that_a_graph_tells_is_true_or_not_heard(folder, name, value):
    """ONNX Runtime believes the nodes, where these tell the shape."""
    before = load(SHIPPED).caption(PHOTO, max_words=2).text
    change(folder, name, lambda graph: reshaped(graph, value))
    if value in {"best_words", "log_probs"}:
        assert "step.onnx" in refusal(folder)
    else:
        assert load(folder).caption(PHOTO, max_words=2).text == before


def test_an_attention_of_another_size_is_refused(folder):
    def longer(graph):
        for node in graph.graph.node:
            node.output[:] = ["a" if name == "attention" else name for name in node.output]
            node.input[:] = ["a" if name == "attention" else name for name in node.input]
        appended(helper.make_node("Concat", ["a", "a"], ["attention"], axis=-1))(graph)

    change(folder, "step.onnx", longer)
    refusal(folder, caption=True)


@pytest.mark.parametrize("count", [-1, 0, 10**9])
def test_a_count_of_words_that_is_not_the_one_asked_for_is_refused(folder, count):
    def fixed(graph):
        top = next(node for node in graph.graph.node if node.op_type == "TopK")
        top.input[1] = "fixed"
        graph.graph.initializer.append(numpy_helper.from_array(np.array([count]), "fixed"))

    change(folder, "step.onnx", fixed)
    refusal(folder, caption=True)


@pytest.mark.parametrize("by", [-3000, 3000])
def test_words_that_are_none_are_refused(folder, by):
    def shift(graph):
        top = next(node for node in graph.graph.node if node.op_type == "TopK")
        top.output[1] = "before"
        appended(
            helper.make_node("Add", ["before", "by"], ["best_words"]),
            constants=[("by", np.array(by))],
        )(graph)

    change(folder, "step.onnx", shift)
    assert "words that are none" in refusal(folder, caption=True)


# --- formats


def test_a_folder_of_format_1_says_what_makes_format_2_of_it(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["grid"]
    (folder / "config.json").write_text(json.dumps({**config, "format": 1}))
    said = refusal(folder)
    assert "format 1" in said
    assert "cutline export" in said
    assert "cutline[train]" in said


@pytest.mark.parametrize("given", [3, 0, -1, "2", 2.0, None, True, [2]])
def test_a_format_that_is_not_known_is_refused(folder, given):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format": given}))
    assert "has format" in refusal(folder)


@pytest.mark.parametrize("grid", [None, [7], [0, 49], [-7, -7], [7.0, 7], [1, 49], [10**9, 10**9]])
def test_a_grid_that_is_not_the_graphs_is_refused(folder, grid):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "grid": grid}))
    if grid == [1, 49]:
        assert load(folder).caption(PHOTO).attention.shape[1:] == (1, 49)  # as many regions
    else:
        refusal(folder)
