"""Graphs of a model folder: traced once for each architecture, compared, written."""

import warnings
from collections import OrderedDict
from pathlib import Path

import onnx_ir as ir

from cutline.captioner import ModelConfig
from cutline.captioner.folder import WEIGHTS
from cutline.captioner.onnx import OnnxBackend
from cutline.export import Graphs, compare, quantise, refer, trace
from cutline.models.header import file_offsets, read_header
from cutline.network.backend import TorchBackend
from cutline.network.network import Network
from cutline.search import Words
from cutline.vocabulary import Vocabulary

__all__ = ["write_graphs"]

KEPT = 32  # traced architectures: tracing takes seconds, and a training saves after each epoch
_TRACED: OrderedDict[str, Graphs] = OrderedDict()


def write_graphs(folder: Path, config: ModelConfig, network: Network) -> None:
    """Write the graphs beside `model.safetensors`, which is there, and compare them.

    Args:
        folder: where they are to be; a draft, which is dropped when this raises.
        config: the model's; it has the grid.
        network: with the weights that the file has, on the CPU.

    Raises:
        ModelError: a graph differs from the network.
        UsageError: PyTorch makes no graph of it.
    """
    decoder = network.decoder.without_draws()
    if decoder is not network.decoder:
        warnings.warn(
            "The decoder draws where it looks (decoder.inference=sample), which a graph cannot: on "
            "ONNX Runtime it looks where that is likeliest; backend='torch' draws.",
            stacklevel=2,
        )
        network = Network(network.encoder, decoder).eval()
    stored = file_offsets(folder / WEIGHTS, read_header(folder / WEIGHTS))
    for name, model in _traced(config, network)._asdict().items():
        graph = model.clone()
        refer(graph, stored, WEIGHTS)
        _write(graph, folder / f"{name}.onnx")
        if name == "step":
            small = model.clone()
            quantise(small)
            refer(small, stored, WEIGHTS)
            _write(small, folder / "step.int8.onnx")
    size, grid = config.preprocessing.size, config.grid
    assert grid is not None
    graphs = OnnxBackend(
        folder, size=size, vocabulary_size=config.vocabulary_size, grid=grid, threads=1
    )
    compare(TorchBackend(network), graphs, size=size, vocabulary_size=config.vocabulary_size)


def _traced(config: ModelConfig, network: Network) -> Graphs:
    """Trace a network, or take the graphs of one that was built alike; they hold no weights."""
    key = config.model_dump_json(
        include={"encoder", "decoder", "vocabulary_size", "preprocessing", "grid"}
    )
    if key not in _TRACED:
        banned = Words.of(Vocabulary).banned.tolist()
        graphs = trace(network.encoder, network.decoder, banned=banned)
        for model in graphs:
            for name, value in model.graph.initializers.items():
                if name in network.state_dict():
                    value.const_value = None
        _TRACED[key] = graphs
        while len(_TRACED) > KEPT:
            _TRACED.popitem(last=False)
    return _TRACED[key]


def _write(model: ir.Model, draft: Path) -> None:
    draft.write_bytes(ir.to_proto(model).SerializeToString())
