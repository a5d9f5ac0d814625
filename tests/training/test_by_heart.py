"""Every captioner learns captions by heart: what it is told, it can say again."""

from typing import NamedTuple

import pytest
import torch
from torch.optim import Adam

from cutline.captioner import Encoded, generate
from cutline.config import SearchConfig, read_recipe, recipe_folder
from cutline.data.batches import Batch, CaptionedImages, Pictures, batches
from cutline.data.readers import open_dataset
from cutline.decoders import decoder_names
from cutline.network import Network, TorchBackend, build_network
from cutline.search import Words
from cutline.training.objectives import Likelihood, read_references
from cutline.vocabulary import Vocabulary

STEPS = 200  # of fifty, 50 to 100 are enough, two to ten seconds on one core
GREEDY = SearchConfig(beam=1, max_words=20)


class Recital(NamedTuple):
    """Cross-entropy per word, and the share of captions that are said again word for word."""

    cross_entropy: float
    verbatim: float


def recite(network: Network, batch: Batch, vocabulary: Vocabulary) -> Recital:
    network.eval()
    with torch.inference_mode():
        features = network.features(batch.inputs)
        _, judged = read_references(network.decoder, features, batch, Words.of(vocabulary))
    looked = Encoded(features.grid, features.pooled)
    found = generate(TorchBackend(network), looked, vocabulary, GREEDY)
    said = [best.words for best, *_ in found]
    told = [
        tuple(vocabulary.words(row[1:length].tolist()))
        for row, length in zip(batch.words[:, 0], batch.lengths[:, 0], strict=True)
    ]
    same = sum(a == b for a, b in zip(said, told, strict=True))
    return Recital((judged.cross_entropy / judged.words).item(), same / len(told))


@pytest.mark.parametrize("images", [12, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", decoder_names())
def test_captions_are_learned_by_heart(name, images):
    recipe = read_recipe(recipe_folder() / "scenes" / f"{name}.yaml", ["decoder.dropout=0.0"])
    examples = open_dataset("scenes", train=images, val=1, test=1, side=64).split("train")
    vocabulary = Vocabulary.build([example.captions[0] for example in examples], min_frequency=1)
    torch.manual_seed(0)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary))
    pictures = Pictures([example.picture for example in examples], network.encoder.preprocessing)
    data = CaptionedImages(examples, pictures, vocabulary, captions_per_image=1, max_words=20)
    batch = next(iter(batches(data, batch_size=images)))
    objective = Likelihood(recipe, vocabulary)
    optimizer = Adam(network.parameters(), lr=3e-3)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        objective(network.train(), batch).value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        if step % 10 == 0:
            found = recite(network, batch, vocabulary)
            if found.cross_entropy < 0.05 and found.verbatim >= 0.95:
                return
    pytest.fail(f"after {STEPS} steps: {found}")
