"""Training objectives: likelihood, and self-critical CIDEr-D.

Shapes: `B` images, `K` captions an image, `N` captions of all images, `S` samples of each image.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cutline.captioner import Encoded, generate
from cutline.config import HardConfig, Recipe, SearchConfig, SoftConfig
from cutline.data.batches import Batch
from cutline.decoders import Decoder, Rollout, Unrolled
from cutline.fast import rollout, unroll
from cutline.functional import Features, doubly_stochastic_penalty
from cutline.losses import WordLoss, word_loss
from cutline.metrics import Cider, ptb_tokenize
from cutline.network import Network, TorchBackend
from cutline.search import Words
from cutline.training.devices import Processes
from cutline.training.reinforce import Reinforce
from cutline.vocabulary import Vocabulary

__all__ = [
    "Likelihood",
    "Loss",
    "Objective",
    "SelfCritical",
    "build_objective",
    "read_references",
    "together",
]

PER_WORD = ("cross_entropy_per_word", "top5_accuracy", "attention_peak")
# After the words of a caption that has ended; no reference contains it otherwise.
END = "<end>"


class Loss(NamedTuple):
    """A loss and figures to show, means over so many captions, or over what `over` says."""

    value: Tensor
    figures: dict[str, Tensor]
    captions: int
    over: Mapping[str, Tensor | int] = {}


class Objective(nn.Module):
    """Base of the objectives: a `Loss` of a network and a batch; buffers are checkpointed."""

    def forward(self, network: Network, batch: Batch, *, sampling: float = 0.0) -> Loss:
        """Make the loss; `sampling` is scheduled sampling's probability (`unroll`)."""
        raise NotImplementedError


class Likelihood(Objective):
    """Cross-entropy of the references, summed over a caption's words, averaged over captions.

    With what a decoder's recipe adds: the doubly stochastic penalty, and for hard attention the
    terms of REINFORCE, each caption read with several samples of where to look.
    """

    def __init__(
        self, recipe: Recipe, vocabulary: Vocabulary, processes: Processes | None = None
    ) -> None:
        super().__init__()
        config = recipe.decoder
        self.penalty = config.penalty if isinstance(config, SoftConfig | HardConfig) else 0.0
        self.samples = config.samples if isinstance(config, HardConfig) else 1
        self.reinforce: Reinforce | None = None
        if isinstance(recipe.decoder, HardConfig):
            self.reinforce = Reinforce(recipe.decoder, recipe.data.max_words, processes)
        self.label_smoothing = recipe.training.label_smoothing
        self.words = Words.of(vocabulary)

    def forward(self, network: Network, batch: Batch, *, sampling: float = 0.0) -> Loss:
        """See `Objective`."""
        batch = self._sampled_often(batch)
        features = network.features(batch.inputs)
        lengths = batch.lengths.flatten()
        captions = int((lengths > 0).sum())
        unrolled, words = read_references(
            network.decoder,
            features,
            batch,
            self.words,
            sampling=sampling,
            label_smoothing=self.label_smoothing,
            per=captions,
        )
        value = words.loss
        figures = {
            "cross_entropy_per_word": words.cross_entropy / words.words,
            "cross_entropy_per_caption": words.cross_entropy / captions,
            "top5_accuracy": words.top5 / words.words,
        }
        over: dict[str, Tensor | int] = dict.fromkeys(PER_WORD, words.words)
        if unrolled.attention is not None:
            figures["attention_peak"] = unrolled.attention.amax(-1).sum().detach() / words.words
        if self.penalty and unrolled.attention is not None:
            attention = unrolled.attention.flatten(0, 1)[lengths > 0]
            figures["attention_penalty"] = doubly_stochastic_penalty(
                attention, lengths[lengths > 0]
            )
            value = value + self.penalty * figures["attention_penalty"]
        figures["loss_per_caption"] = value.detach()
        if self.reinforce is not None:
            terms, more = self.reinforce(
                unrolled, words.log_likelihood, batch.lengths, steps=batch.words.shape[2] - 1
            )
            value = value + terms
            figures |= {name: mean.value for name, mean in more.items()}
            over |= {name: mean.over for name, mean in more.items()}
        return Loss(value, figures, captions, over)

    def _sampled_often(self, batch: Batch) -> Batch:
        """Repeat each caption as often as its places are sampled."""
        if self.samples == 1:
            return batch
        repeat = partial(torch.repeat_interleave, repeats=self.samples, dim=1)
        return batch._replace(words=repeat(batch.words), lengths=repeat(batch.lengths))


class SelfCritical(Objective):
    """CIDEr-D of captions that the decoder draws, against that of other captions of its own.

        loss = -mean of (r(w~) - b) log p(w~),   b: r of the greedy caption, or the mean r of the
                                                 other samples of the same image

    The places of hard attention are drawn with the words and rewarded with them. An `<end>` is a
    word, so that stopping is rewarded, too. Rennie et al. 2017 (arXiv 1612.00563), section 3.
    """

    def __init__(
        self, recipe: Recipe, vocabulary: Vocabulary, references: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__()
        self.plan = recipe.training.self_critical
        self.search = SearchConfig(beam=1, max_words=recipe.search.max_words)
        self.vocabulary = vocabulary
        self.words = Words.of(vocabulary)
        self.rows = {image: row for row, image in enumerate(references)}
        self.cider = Cider(
            [
                [_tokens(vocabulary.split(text), ended=True) for text in texts]
                for texts in references.values()
            ]
        )

    def forward(self, network: Network, batch: Batch, *, sampling: float = 0.0) -> Loss:
        """See `Objective`."""
        samples = self.plan.samples
        features = network.features(batch.inputs)
        drawn = rollout(
            network.decoder,
            features,
            words=self.words,
            max_words=self.search.max_words,
            samples=samples,
        )
        rewards = self._rewards(self._said(drawn), batch.ids, samples).to(features.grid.device)
        if self.plan.baseline == "greedy":
            baseline = self._greedy(network, features, batch.ids)
        else:
            baseline = (rewards.sum(1, keepdim=True) - rewards) / (samples - 1)
        log_probs = drawn.log_probs
        if drawn.location_log_probs is not None:
            log_probs = log_probs + drawn.location_log_probs
        value = -((rewards - baseline).flatten() * log_probs.sum(1)).mean()
        figures = {
            "reward": rewards.mean(),
            "reward_baseline": baseline.mean(),
            "sample_words": drawn.lengths.float().mean(),
        }
        return Loss(value, figures, rewards.numel())

    def _greedy(self, network: Network, features: Features, images: Sequence[str]) -> Tensor:
        """Caption greedily, without dropout; return the rewards (B, 1)."""
        training = network.decoder.training
        network.decoder.eval()
        seen = Encoded(features.grid.detach(), features.pooled.detach())
        found = generate(TorchBackend(network), seen, self.vocabulary, self.search)
        network.decoder.train(training)
        said = [_tokens(" ".join(best.words), ended=best.finished) for (best, *_) in found]
        return self._rewards(said, images, 1).to(seen.grid.device)

    def _said(self, drawn: Rollout) -> list[list[str]]:
        """Read the drawn numbers as words."""
        said = []
        for row, length in zip(drawn.words.tolist(), drawn.lengths.tolist(), strict=True):
            ended = row[length - 1] == self.words.end
            words = self.vocabulary.words(row[: length - ended])
            said.append(_tokens(" ".join(words), ended=ended))
        return said

    def _rewards(self, said: Sequence[list[str]], images: Sequence[str], each: int) -> Tensor:
        """Compute CIDEr-D (B, each)."""
        rows = [self.rows[image] for image in images for _ in range(each)]
        return torch.from_numpy(self.cider(said, rows)).float().view(-1, each)


def read_references(
    decoder: Decoder,
    features: Features,
    batch: Batch,
    special: Words,
    *,
    sampling: float = 0.0,
    label_smoothing: float = 0.0,
    per: int = 1,
) -> tuple[Unrolled, WordLoss]:
    """Read the references of `B` images, and judge each next word, see `word_loss`."""
    read, targets = batch.words[:, :, :-1], batch.words[:, :, 1:]
    unrolled = unroll(
        decoder, features, read, batch.lengths, sampling=sampling, banned=special.banned
    )
    judged = word_loss(
        decoder.project(unrolled.distinct),
        targets.reshape(-1)[unrolled.places],
        rows=unrolled.rows,
        label_smoothing=label_smoothing,
        per=per,
    )
    return unrolled, judged


def together(own: Loss, processes: Processes) -> tuple[Loss, Tensor]:
    """Merge the losses and figures of all processes, each a mean over its own part of a batch.

    Returns:
        The loss and the figures of the whole batch, without a gradient; and what the own loss is
        multiplied by, so that the mean of all gradients, which DDP takes, is that of the batch.
    """
    if processes.size == 1:
        return own, own.value.new_ones(())
    names = list(own.figures)
    values = torch.stack([own.value.detach(), *own.figures.values()]).double()
    over = [own.captions, *(own.over.get(name, own.captions) for name in names)]
    counts = torch.stack([torch.as_tensor(count).to(values) for count in over])
    sums = torch.where(counts > 0, values * counts, 0)  # a mean over nothing is no number
    sums, totals = processes.total(torch.stack([sums, counts]))
    means = (sums / totals.clamp_min(1)).to(own.value.dtype)
    captions = 0 if processes.absent else own.captions
    share = processes.size * captions / totals[0].clamp_min(1)
    merged = Loss(means[0], dict(zip(names, means[1:], strict=True)), int(totals[0]))
    return merged, share.to(own.value.dtype)


def _tokens(text: str, *, ended: bool) -> list[str]:
    """Tokenize as the scores do; an `<end>` follows where there is one."""
    return [*ptb_tokenize(text), *[END] * ended]


def build_objective(
    recipe: Recipe,
    vocabulary: Vocabulary,
    references: Mapping[str, Sequence[str]],
    processes: Processes | None = None,
) -> Objective:
    """Build what `training.objective` names; `references` are of the training images.

    `processes` are all that train together.
    """
    if recipe.training.objective == "self_critical":
        return SelfCritical(recipe, vocabulary, references)
    return Likelihood(recipe, vocabulary, processes)
