"""CIDEr of many candidates against the same references: weighed each time, or once."""

from collections.abc import Callable, Iterator

from cutline.data.scenes import Scene, captions
from cutline.metrics import DocumentFrequencies, cider_d, consensus, ptb_tokenize, weigh


def works() -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Yield the comparison, on 250 candidates with five references each."""
    tokens = [[ptb_tokenize(c) for c in captions(Scene.from_seed(seed))] for seed in range(250)]
    candidates = [references[0][::-1] for references in tokens]
    frequencies = DocumentFrequencies.of(tokens)
    weighed = [[weigh(reference, frequencies) for reference in group] for group in tokens]

    def plain() -> list[float]:
        return [cider_d(c, group, frequencies) for c, group in zip(candidates, tokens, strict=True)]

    def ours() -> list[float]:
        return [
            consensus(weigh(c, frequencies), group)
            for c, group in zip(candidates, weighed, strict=True)
        ]

    assert plain() == ours()
    yield "CIDEr-D of 250 candidates, 5 references each", plain, ours
