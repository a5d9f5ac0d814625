"""Every shipped recipe builds and learns, on a few scenes and with random weights for downloads."""

from pathlib import Path

import lightning as L
import pytest
import torch

from cutline.config import Recipe, read_recipe, recipe_folder
from cutline.data.batches import CaptionedImages, Pictures, batches
from cutline.data.readers import open_dataset
from cutline.network import build_network
from cutline.training.module import TrainingModule
from cutline.training.objectives import build_objective
from cutline.training.watch import Watch
from cutline.vocabulary import Vocabulary

SHIPPED = sorted(recipe_folder().rglob("*.yaml"))
HEAVY = {"soft-vgg19", "hard-vgg19"}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """A step of a large backbone, and one that another data set's recipe has taken, can wait."""
    again = path.parent.name in {"coco", "flickr30k"}
    heavy = path.stem in HEAVY or path.stem.endswith(("resnet101", "resnet152"))
    return [pytest.mark.slow] * (heavy or again)


def substitute(path: Path) -> Recipe:
    """The recipe without what must be fetched or waited for."""
    recipe = read_recipe(path)
    words = ["encoder.weights=random", "data.path=scenes", "training.warmup_steps=0"]
    return read_recipe(
        path, [*words, *["encoder.unfreeze_epoch=1"] * (recipe.encoder.unfreeze_epoch > 1)]
    )


@pytest.mark.filterwarnings("ignore:Found .* in eval mode", "ignore:.*does not have many workers")
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=marks(path), id=name(path)) for path in SHIPPED]
)
def test_a_shipped_recipe_builds_and_takes_a_step(path):
    recipe = substitute(path)
    torch.manual_seed(recipe.seed)
    examples = open_dataset("scenes", train=2, val=1, test=1).split("train")
    captions = [caption for example in examples for caption in example.captions]
    vocabulary = Vocabulary.build(captions, min_frequency=1)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(vocabulary))
    images = CaptionedImages(
        examples,
        Pictures([example.picture for example in examples], network.encoder.preprocessing),
        vocabulary,
        captions_per_image=2,
        max_words=recipe.data.max_words,
    )
    before = {key: value.clone() for key, value in network.named_parameters()}
    trainer = L.Trainer(
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=recipe.training.gradient_clip,
    )
    references = {example.image_id: example.captions for example in examples}
    objective = build_objective(recipe, vocabulary, references)
    module = TrainingModule(
        network, vocabulary, recipe, {}, objective, Watch(recipe, Path(), print)
    )
    trainer.fit(module, batches(images, batch_size=2))
    assert trainer.global_step == 1
    figure = "reward" if recipe.training.objective == "self_critical" else "loss_per_caption"
    assert trainer.callback_metrics[f"train/{figure}"].isfinite()
    moved = {
        key for key, value in network.named_parameters() if not torch.equal(value, before[key])
    }
    assert any(key.startswith("decoder.") for key in moved)
    assert any(key.startswith("encoder.") for key in moved) == network.encoder.trains


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_a_shipped_recipe_says_its_purpose_its_cost_and_how_to_run_it(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("# ")]
    assert lines[: len(head)] == head, "they open the file"
    assert not head[0].startswith("# Cost")
    assert any(line.startswith("# Cost") for line in head)
    assert max(map(len, lines)) <= 115
    if path.parent.name != "scenes":
        assert any(f"cutline train {name(path)} data.path=PATH" in line for line in head)


def test_the_flickr8k_recipes_over_lite0_differ_in_their_decoder_alone():
    recipes = [read_recipe(path) for path in SHIPPED if path.parent.name == "flickr8k"]
    alike = [
        recipe
        for recipe in recipes
        if recipe.encoder.name == "tf_efficientnet_lite0"
        and not (recipe.training.start_from or recipe.data.augment)
    ]
    assert sorted(recipe.decoder.name for recipe in alike) == [
        "adaptive",
        "dot",
        "hard",
        "nic",
        "rnn",
        "soft",
        "spatial",
    ]
    sizes = {"embedding", "hidden", "head", "dropout"}
    first = alike[0]
    for recipe in alike:
        assert recipe.decoder.model_dump(include=sizes) == first.decoder.model_dump(include=sizes)
        assert recipe.model_copy(update={"decoder": first.decoder}) == first
