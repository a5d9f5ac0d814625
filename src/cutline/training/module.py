"""The Lightning module: one training step, one validation step, the optimiser.

Shapes: `B` images, `K` captions an image, `T` words, `M` real words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from cutline.captioner import Network, generate
from cutline.config import Recipe, SearchConfig
from cutline.data.batches import Batch
from cutline.decoders import Unrolled, unroll
from cutline.functional import doubly_stochastic_penalty
from cutline.losses import WordLoss, word_loss
from cutline.metrics import score
from cutline.training.schedule import cosine_with_warmup, warmup
from cutline.vocabulary import Vocabulary

__all__ = ["TrainingModule"]


class TrainingModule(L.LightningModule):
    """Trains a network by cross-entropy, and judges it by the captions that it generates.

    `references` maps image ids of the validation split to their captions. Validation logs
    `val/cider_greedy` (generated captions, what models are chosen by) and, named as such,
    the teacher-forced cross-entropy, perplexity and top-5 accuracy.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        recipe: Recipe,
        references: Mapping[str, Sequence[str]],
    ) -> None:
        super().__init__()
        self.network = network
        self.vocabulary = vocabulary
        self.recipe = recipe
        self.references = references
        self.captions: dict[str, str] = {}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make dropout a function of the seed and the step, so that a resumed run repeats it."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss: summed over a caption's words, averaged over captions."""
        unrolled, words = self._teacher_forced(batch)
        captions = int((batch.lengths > 0).sum())
        loss = words.loss / captions
        penalty = getattr(self.recipe.decoder, "penalty", 0.0)
        if penalty and unrolled.attention is not None:
            looked = doubly_stochastic_penalty(
                unrolled.attention.flatten(0, 1)[batch.lengths.flatten() > 0],
                batch.lengths.flatten()[batch.lengths.flatten() > 0],
            )
            self.log("train/attention_penalty", looked, batch_size=captions)
            loss = loss + penalty * looked
        per_word = words.cross_entropy / words.words
        self.log("train/loss", loss, batch_size=captions)
        self.log("loss", per_word, prog_bar=True, logger=False, batch_size=captions)
        self.log(
            "train/cross_entropy_per_word",
            per_word,
            on_step=False,
            on_epoch=True,
            batch_size=words.words,
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the words of the references, and caption the images greedily."""
        features = self.network.features(batch.inputs)
        greedy = SearchConfig(beam=1, max_words=self.recipe.search.max_words)
        found = generate(self.network.decoder, features, self.vocabulary, greedy)
        self.captions.update(
            {image: best[0].text for image, best in zip(batch.ids, found, strict=True)}
        )
        _, words = self._teacher_forced(batch)
        for name, value in (
            ("cross_entropy_per_word", words.cross_entropy / words.words),
            ("top5_accuracy", words.top5 / words.words),
        ):
            self.log(f"val/teacher_forced_{name}", value, batch_size=words.words)

    def on_validation_epoch_start(self) -> None:
        """Forget the captions of the epoch before."""
        self.captions = {}

    def on_validation_epoch_end(self) -> None:
        """Log CIDEr of the greedy captions."""
        captions = self._all_captions()
        references = {image: self.references[image] for image in captions}
        cider = score(captions, references, metrics=("CIDEr",)).corpus["CIDEr"]
        self.log("val/cider_greedy", cider)
        self.log("val CIDEr", cider, prog_bar=True, logger=False)

    def configure_optimizers(self) -> Any:
        """AdamW; the encoder has its own learning rate; only matrices decay."""
        training = self.recipe.training
        optimizer = AdamW(self._groups(), lr=training.learning_rate)
        schedule = self._schedule(optimizer)
        if isinstance(schedule, ReduceLROnPlateau):
            plan = {"scheduler": schedule, "monitor": "val/cider_greedy", "interval": "epoch"}
            return {"optimizer": optimizer, "lr_scheduler": plan}
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _teacher_forced(self, batch: Batch) -> tuple[Unrolled, WordLoss]:
        features = self.network.features(batch.inputs)
        unrolled = unroll(self.network.decoder, features, batch.words[:, :, :-1], batch.lengths)
        targets = batch.words[:, :, 1:].reshape(-1)[unrolled.places]
        scores = self.network.decoder.project(unrolled.output)
        smoothing = self.recipe.training.label_smoothing if self.training else 0.0
        return unrolled, word_loss(scores, targets, label_smoothing=smoothing)

    def _all_captions(self) -> dict[str, str]:
        """Gather the captions of all devices."""
        if self.trainer.world_size == 1:
            return self.captions
        gathered: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, self.captions)
        return {image: text for part in gathered for image, text in part.items()}

    def _groups(self) -> list[dict[str, Any]]:
        training = self.recipe.training
        parts: tuple[tuple[nn.Module, float], ...] = (
            (self.network.decoder, training.learning_rate),
            (self.network.encoder, self.recipe.encoder.learning_rate),
        )
        groups = []
        for part, rate in parts:
            trained = [p for p in part.parameters() if p.requires_grad]
            for matrices, decay in ((True, training.weight_decay), (False, 0.0)):
                chosen = [p for p in trained if (p.ndim > 1) == matrices]
                if chosen:
                    groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
        return groups

    def _schedule(self, optimizer: Optimizer) -> LRScheduler:
        training = self.recipe.training
        if training.schedule == "plateau":
            return ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2)
        if training.schedule == "constant":
            return LambdaLR(optimizer, warmup(training.warmup_steps))
        steps = int(self.trainer.estimated_stepping_batches)
        return LambdaLR(optimizer, cosine_with_warmup(training.warmup_steps, steps))
