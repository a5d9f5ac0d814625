"""Every decoder as graphs: the numbers, the captions and the attention are PyTorch's."""

import numpy as np
import onnx
import pytest
import torch

from cutline.captioner import generate, sample_captions
from cutline.config import SearchConfig
from cutline.decoders import decoder_names
from cutline.vocabulary import Vocabulary
from support.graphs import Both, network_of, noise, numbers, written
from support.suite import BUILDERS, V, registered

KINDS = {**BUILDERS, "hard by expectation": registered("hard", inference="expectation")}
QUICK = {"rnn", "hard", "adaptive", "soft with a head"}  # the others take minutes
SAME = 2e-4


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return Vocabulary.build(["a red circle and blue squares here now"], min_frequency=1)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in KINDS
    ],
    ids=lambda name: name.replace(" ", "_"),
)
def both(request, tmp_path_factory) -> Both:
    torch.manual_seed(0)
    network = network_of(KINDS[request.param]())
    folder = tmp_path_factory.mktemp("graphs")
    return written(folder, network, key=request.param, vocabulary_size=V)


def log_probs(backend, scores) -> np.ndarray:
    return backend.arrays.log_probs(scores, np.array([0, 1, 3]))


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("captions", [1, 2, 5])
def test_scores_states_and_attention_are_pytorchs(both: Both, images: int, captions: int):
    pixels = noise(images, seed=images)
    begun = [backend.start(backend.encode(pixels)) for backend in both[:2]]
    rows = np.repeat(np.arange(images), captions)
    states = [b.arrays.take(one.state, rows) for b, one in zip(both[:2], begun, strict=True)]
    dice = np.random.default_rng(captions)
    for _ in range(3):
        given = dice.integers(0, V, len(rows))
        outs = [
            backend.step(given, state, one.memory, best=None)
            for backend, state, one in zip(both[:2], states, begun, strict=True)
        ]
        ours, theirs = (log_probs(b, out.scores) for b, out in zip(both[:2], outs, strict=True))
        assert theirs == pytest.approx(ours, abs=SAME)
        for name in ("attention", "sentinel"):
            wanted, found = (getattr(out, name) for out in outs)
            assert (wanted is None) == (found is None)
            assert wanted is None or found == pytest.approx(wanted.numpy(), abs=SAME)
        states = [out.state for out in outs]
        ours, theirs = (numbers(b, state) for b, state in zip(both[:2], states, strict=True))
        for wanted, found in zip(ours, theirs, strict=True):
            assert found == pytest.approx(wanted, abs=SAME)


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_captions_are_pytorchs(both: Both, words: Vocabulary, beam: int):
    search = SearchConfig(beam=beam, max_words=7)
    ours, theirs = (generate(b, b.encode(noise(3)), words, search, n_best=beam) for b in both[:2])
    for one, other in zip(ours, theirs, strict=True):
        assert [c.words for c in one] == [c.words for c in other]
        for wanted, found in zip(one, other, strict=True):
            assert found.log_probs == pytest.approx(wanted.log_probs, abs=SAME)
            assert (wanted.attention is None) == (found.attention is None)
            if wanted.attention is not None:
                assert found.attention == pytest.approx(wanted.attention, abs=SAME)
            if wanted.sentinel is not None:
                assert found.sentinel == pytest.approx(wanted.sentinel, abs=SAME)


def test_samples_of_one_seed_are_pytorchs(both: Both, words: Vocabulary):
    ours, theirs = (
        sample_captions(b, b.encode(noise(2)), words, samples=4, max_words=6, seed=5)
        for b in both[:2]
    )
    said, repeated = ([[c.text for c in of] for of in found] for found in (ours, theirs))
    assert said == repeated
    assert len({text for of in said for text in of}) > 1


def test_what_no_step_reads_is_neither_made_nor_asked_for(both: Both):
    start, step = (onnx.load(both.folder / f"{n}.onnx", load_external_data=False).graph
                   for n in ("start", "step"))  # fmt: skip
    read = {name for node in step.node for name in node.input}
    asked = [value.name for value in step.input]
    assert set(asked) <= read
    made = {value.name for value in start.output}
    assert made == {name for name in asked if name.startswith(("memory.", "state."))}


def test_products_in_bytes_do_not_depend_on_neighbours(both: Both, words: Vocabulary):
    small = both.int8()
    operators = {n.op_type for n in onnx.load(both.folder / "step.int8.onnx").graph.node}
    assert "MatMulInteger" in operators
    search = SearchConfig(beam=3, max_words=6)
    pixels = noise(3)
    alone = [generate(small, small.encode(pixels[n : n + 1]), words, search)[0] for n in range(3)]
    together = generate(small, small.encode(pixels), words, search)
    for one, other in zip(alone, together, strict=True):
        assert [c.words for c in one] == [c.words for c in other]
        assert one[0].log_probs == pytest.approx(other[0].log_probs, abs=1e-5)


def test_no_graph_tells_of_the_machine_it_was_made_on(both: Both):
    for path in both.folder.glob("*.onnx"):
        content = path.read_bytes()
        for said in (b"/work", b"/home", b"site-packages", b".py", b"Traceback", b"torch.fx"):
            assert said not in content, (path.name, said)


def test_every_registered_decoder_is_tried_here():
    assert set(decoder_names()) <= set(KINDS)
    assert set(KINDS) >= QUICK
