"""Scores beside pycocoevalcap's (with Java for its tokenizer), in the same run.

Skipped where pycocoevalcap or Java is missing. The reward's plain side is pycocoevalcap's CIDEr,
which counts and weighs the references each time; ours does so once.
"""

import contextlib
import importlib.util
import io
import os
import shutil
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.work import Work
from cutline.data.scenes import Scene, captions
from cutline.metrics import Cider, ptb_tokenize, score

IMAGES, REFERENCES = 5000, 5
SAMPLES, SAMPLED_IMAGES = 250, 50

Texts = dict[int, list[str]]


def works() -> Iterator[Work]:
    """Yield the comparisons."""
    if importlib.util.find_spec("pycocoevalcap") is None or shutil.which("java") is None:
        print(
            "scores: not compared, pycocoevalcap or Java is missing (pip install 'cutline[meteor]')"
        )
        return
    references = {n: list(captions(Scene.from_seed(n))) for n in range(IMAGES)}
    candidates = {n: captions(Scene.from_seed(n + IMAGES))[0] for n in range(IMAGES)}
    yield _corpus(candidates, references)
    yield _reward(references)


def _corpus(candidates: dict[int, str], references: Texts) -> Work:
    """Tokenize, then BLEU, ROUGE-L and CIDEr."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider as TheirCider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def plain() -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()), _no_stderr():
            tokenize = PTBTokenizer().tokenize
            truths = tokenize({n: [{"caption": t} for t in ts] for n, ts in references.items()})
            said = tokenize({n: [{"caption": text}] for n, text in candidates.items()})
            figures = [*Bleu(4).compute_score(truths, said, verbose=0)[0]]
            figures += [metric().compute_score(truths, said)[0] for metric in (Rouge, TheirCider)]
        return [float(figure) for figure in figures]

    def ours() -> list[float]:
        return list(score(candidates, references).corpus.values())

    assert np.allclose(plain(), ours(), rtol=0, atol=1e-9)
    note = f"tokenize, BLEU, ROUGE-L, CIDEr of {IMAGES} x {REFERENCES}"
    return Work("scores", "s", ours, plain, note=note)


def _reward(references: Texts) -> Work:
    """CIDEr-D of samples, as self-critical training asks for it."""
    from pycocoevalcap.cider.cider import Cider as TheirCider

    words = [[ptb_tokenize(text) for text in texts] for texts in references.values()]
    images = [n % SAMPLED_IMAGES for n in range(SAMPLES)]
    samples = [words[n + SAMPLES][0] for n in range(SAMPLES)]
    # its document frequencies are those of the images at hand, so ours are, too
    cider = Cider([words[image] for image in images])
    said, truths = _spelled([[s] for s in samples]), _spelled([words[i] for i in images])

    def plain() -> Sequence[float]:
        values: Sequence[float] = TheirCider().compute_score(truths, said)[1]
        return values

    def ours() -> Sequence[float]:
        values: Sequence[float] = cider(samples).tolist()
        return values

    assert np.allclose(plain(), ours(), rtol=0, atol=1e-9)
    note = f"CIDEr-D of {SAMPLES} samples x {REFERENCES}"
    return Work("reward_self_critical", "s", ours, plain, rounds=9, note=note)


def _spelled(groups: Sequence[Sequence[Sequence[str]]]) -> Texts:
    return {n: [" ".join(words) for words in group] for n, group in enumerate(groups)}


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Keep the Java tokenizer's chatter out of the table."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
