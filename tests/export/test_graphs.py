"""Graphs of a model folder: compared before they are kept, their weights stored once."""

import copy

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

import cutline
from cutline.decoders import Hard, Step
from cutline.errors import ModelError
from cutline.network import Model, TorchBackend, graphs
from support import models
from support.graphs import Eyes, Reader, Rows, network_of, noise, written


def scores(backend, pixels: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Log-probabilities after one word and another."""
    memory, state = backend.start(backend.encode(pixels))
    step = backend.step(words, state, memory, best=None)
    step = backend.step(words[::-1].copy(), step.state, memory, best=None)
    return backend.arrays.log_probs(step.scores, np.array([0, 1, 3]))


# --- a graph that disagrees is not kept


class Drifting(Reader):
    """Counts its steps where nobody sees it: a graph knows one count only."""

    steps = 0

    def step(self, words, state, memory):
        if not torch.compiler.is_exporting():
            self.steps += 1
        found = super().step(words, state, memory)
        return found._replace(output=found.output + 0.2 * self.steps)


class Random(Reader):
    """Draws while it captions."""

    def step(self, words, state, memory):
        found = super().step(words, state, memory)
        return found._replace(output=found.output + torch.rand(found.output.shape))


@pytest.mark.parametrize("kind", [Drifting, Random])
def test_a_graph_that_differs_is_refused_with_where_and_how_much(kind, tmp_path):
    network = network_of(kind(Eyes.feature_size))
    said = r"step.onnx in its log-probabilities.* differs from PyTorch by \d.*was not written"
    with pytest.raises(ModelError, match=said):
        written(tmp_path, network, key=kind.__name__, vocabulary_size=9)


class Measured(Reader):
    """Repeats rows by `len`, which is a number to PyTorch's exporter."""

    def step(self, words, state, memory):
        images = memory.seen.shape[0]
        seen = memory.seen.repeat_interleave(len(words) // images, 0)
        h = (self.embed(words) + state.seen + seen).tanh()
        return Step(h, Rows(h))


def test_a_decoder_that_takes_a_length_for_a_number_is_told_what_to_write(tmp_path):
    network = network_of(Measured(Eyes.feature_size))
    with pytest.raises(ModelError, match=r"x\.shape\[0\] in the place of len\(x\)") as caught:
        written(tmp_path, network, key="measured", vocabulary_size=9)
    assert "\n" not in str(caught.value)


# --- one real model, saved in every way


@pytest.fixture(scope="module")
def model() -> Model:
    return models.model({"name": "soft", "attention": 8})


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory):
    """The model's weights as they are, in half precision and in bytes."""
    found = {}
    for storage in ("float32", "float16", "int8"):
        found[storage] = tmp_path_factory.mktemp(storage) / "model"
        stored = Model(model.config, copy.deepcopy(model.network), model.vocabulary)
        stored.stored_as(storage).save(found[storage])
    return found


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_graphs_unpack_their_weights_as_pytorch_restores_them(folders, storage):
    folder = folders[storage]
    onnx_side, torch_side = cutline.load(folder), cutline.load(folder, backend="torch")
    pixels, words = noise(2, 64), np.array([4, 5])
    wanted, found = (scores(c.backend, pixels, words) for c in (torch_side, onnx_side))
    assert found == pytest.approx(wanted, abs=1e-3)


def test_weights_are_stored_once_and_a_graph_is_small(folders):
    for folder in folders.values():
        names = set(load_file(folder / "model.safetensors"))
        for path in folder.glob("*.onnx"):
            assert path.stat().st_size < 200_000
            graph = onnx.load(path, load_external_data=False).graph
            outside = [i for i in graph.initializer if i.external_data]
            assert outside
            for tensor in outside:
                place = {entry.key: entry.value for entry in tensor.external_data}
                assert place["location"] == "model.safetensors"
            inside = [i for i in graph.initializer if not i.external_data]
            assert not {i.name for i in inside} & names


def test_smaller_weights_are_smaller_files(folders):
    sizes = [
        (folders[s] / "model.safetensors").stat().st_size for s in ("float32", "float16", "int8")
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < 0.7 * sizes[0]


def patched(monkeypatch, name: str, operator: str, instead: str) -> None:
    """Let an operator of a traced graph be another one."""
    real = graphs._traced

    def broken(config, network):
        found = real(config, network)
        graph = getattr(found, name).clone()
        *_, node = (node for node in graph.graph if node.op_type == operator)
        node.op_type = instead
        return found._replace(**{name: graph})

    monkeypatch.setattr(graphs, "_traced", broken)


@pytest.mark.parametrize(
    ("name", "operator", "instead", "said"),
    [
        ("step", "Tanh", "Sigmoid", "step.onnx in its log-probabilities"),
        ("encode", "Relu", "Abs", "encode.onnx in grid"),
    ],
)
def test_save_refuses_a_graph_that_disagrees_and_leaves_nothing(
    model, folders, tmp_path, monkeypatch, name, operator, instead, said
):
    patched(monkeypatch, name, operator, instead)
    with pytest.raises(ModelError, match=said):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_older_model_stays_where_a_new_one_is_refused(model, folders, tmp_path, monkeypatch):
    model.save(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    patched(monkeypatch, "step", "Tanh", "Sigmoid")
    with pytest.raises(ModelError, match="differs from PyTorch"):
        model.save(tmp_path / "model")
    after = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert after == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_captions_wherever_it_is_moved(model, folders, tmp_path):
    moved = tmp_path / "elsewhere"
    folders["float32"].rename(moved)
    try:
        picture = noise(1, 64)[0]
        said, repeated = (c.caption(picture).text for c in (model.captioner(), cutline.load(moved)))
        assert said == repeated
    finally:
        moved.rename(folders["float32"])


# --- attention that is drawn


def hard(**fields) -> Hard:
    sizes = {"embedding": 5, "hidden": 6, "attention": 4}
    return Hard(vocabulary_size=12, feature_size=Eyes.feature_size, dropout=0.0, **sizes, **fields)


def test_a_model_that_draws_where_it_looks_is_exported_by_the_likeliest_and_says_so(tmp_path):
    torch.manual_seed(0)
    drawing = network_of(hard(inference="sample"))
    with pytest.warns(UserWarning, match=r"decoder\.inference=sample.* backend='torch' draws"):
        both = written(tmp_path, drawing, key="hard", vocabulary_size=12)
    assert drawing.decoder.inference == "sample"
    words, pixels = np.arange(4, 10), np.repeat(noise(1), 6, 0)
    likeliest = TorchBackend(network_of(hard()))
    likeliest.network.load_state_dict(drawing.state_dict())
    wanted, found = scores(likeliest, pixels, words), scores(both.onnx, pixels, words)
    assert found == pytest.approx(wanted, abs=2e-4)
    assert any(
        not np.allclose(scores(both.torch, pixels, words), found, atol=1e-3) for _ in range(5)
    )
