"""Numerical comparison of ONNX graphs with the network that they were traced from.

Shapes: `B` images, `K` captions an image, `S` side in pixels, `V` vocabulary.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.captioner.backend import Backend
from cutline.errors import ModelError

__all__ = ["compare"]

IMAGES, CAPTIONS, STEPS = 3, 7, 4
LENGTHS = "a free size may have become a number: write x.shape[0] in the place of len(x)"
CLOSE = 2e-3  # of the largest number, for what float32 rounds in two orders of sums
TIES = 1  # captions of all: where two regions tie, hard attention may look at either


def compare(
    network: Backend, graphs: Backend, *, size: int, vocabulary_size: int, seed: int = 0
) -> None:
    """Caption noise with both, the same words in both, and compare every number on the way.

    Raises:
        ModelError: a number differs by more than rounding; the sentence names it and says by how
            much.
    """
    dice = np.random.default_rng(seed)
    pixels = dice.integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)
    pixels[1] = pixels[1] // 4 + 40 * (np.arange(size)[:, None, None] // 16 % 3).astype(np.uint8)
    ours, theirs = network.encode(pixels), graphs.encode(pixels)
    for name, wanted, found in zip(ours._fields, ours, theirs, strict=True):
        _same(f"encode.onnx in {name}", network.arrays.numpy(wanted), graphs.arrays.numpy(found))
    differs = np.zeros((IMAGES, CAPTIONS))
    started = network.start(ours), graphs.start(theirs)
    states = [start.state for start in started]
    rows = np.repeat(np.arange(IMAGES), CAPTIONS)
    for step in range(STEPS):
        each = CAPTIONS if step else 1
        words = dice.integers(0, vocabulary_size, IMAGES * each)
        outs = [network.step(words, states[0], started[0].memory, best=None)]
        try:
            outs.append(graphs.step(words, states[1], started[1].memory, best=None))
        except ModelError:
            raise ModelError(
                f"The graph step.onnx fails with {IMAGES} images and {each} captions of each, and "
                f"was not written; {LENGTHS}."
            ) from None
        far = _difference(network, graphs, *outs)
        differs = np.maximum(differs, far.reshape(IMAGES, each))
        take = rows if step == 0 else np.arange(len(rows))
        states = [
            backend.arrays.take(out.state, take)
            for backend, out in zip((network, graphs), outs, strict=True)
        ]
    if (differs > CLOSE).sum() > TIES:
        _refuse("step.onnx in its log-probabilities or attention", float(differs.max()))


def _difference(network: Backend, graphs: Backend, ours: Any, theirs: Any) -> NDArray[Any]:
    """Return by how much two steps differ, (N,), as a share of the largest number."""
    nothing = np.empty(0, dtype=np.int64)
    pairs = [
        (network.arrays.log_probs(ours.scores, nothing), theirs.scores),
        (_numpy(network, ours.attention), _numpy(graphs, theirs.attention)),
        (_numpy(network, ours.sentinel), _numpy(graphs, theirs.sentinel)),
    ]
    largest = np.zeros(len(theirs.scores))
    for wanted, found in pairs:
        if (wanted is None) != (found is None):
            _refuse("step.onnx in what it reports", np.inf)
        if wanted is not None:
            known = np.isfinite(found)
            gap = np.where(known, np.abs(wanted - np.where(known, found, 0)), 0)
            scale = max(1.0, float(np.abs(wanted).max()))
            largest = np.maximum(largest, gap.reshape(len(gap), -1).max(1) / scale)
    return largest


def _numpy(backend: Backend, array: Any) -> NDArray[Any] | None:
    return None if array is None else backend.arrays.numpy(array)


def _same(where: str, wanted: NDArray[Any], found: NDArray[Any]) -> None:
    if wanted.shape != found.shape:
        _refuse(f"{where} by its shape, {found.shape} for {wanted.shape},", np.inf)
    scale = float(np.abs(wanted).max()) or 1.0
    gap = float(np.abs(wanted - found).max()) / scale
    if not gap <= CLOSE:
        _refuse(where, gap)


def _refuse(where: str, gap: float) -> None:
    raise ModelError(
        f"The graph {where} differs from PyTorch by {gap:.2g} of the largest number (at most "
        f"{CLOSE} is rounding), and was not written; a decoder or encoder may do something that "
        "torch.onnx does not export faithfully."
    )
