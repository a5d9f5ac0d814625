"""What a step makes small: the sums by hand, what hard attention adds, what is rewarded."""

import re
from pathlib import Path

import pytest
import torch
from torch.optim import Adam

from cutline.config import Recipe, read_recipe
from cutline.data.batches import Batch, CaptionedImages, Pictures, batches
from cutline.data.readers import open_dataset
from cutline.errors import ModelError, UsageError
from cutline.functional import doubly_stochastic_penalty
from cutline.metrics import Cider, ptb_tokenize
from cutline.network import Model, Network, build_network
from cutline.training import train
from cutline.training.objectives import Likelihood, SelfCritical, read_references
from cutline.vocabulary import Vocabulary
from support.tiny import RECIPE, write_recipe

EXAMPLES = open_dataset("scenes", train=8, val=1, test=1).split("train")
REFERENCES = {example.image_id: example.captions for example in EXAMPLES}
VOCABULARY = Vocabulary.build([c for e in EXAMPLES for c in e.captions], min_frequency=1)


def recipe_of(folder: Path, *changes: str) -> Recipe:
    return read_recipe(write_recipe(folder), ["decoder.dropout=0.0", *changes])


def prepared(recipe: Recipe) -> tuple[Network, Batch]:
    torch.manual_seed(0)
    network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(VOCABULARY))
    images = CaptionedImages(
        EXAMPLES,
        Pictures([example.picture for example in EXAMPLES], network.encoder.preprocessing),
        VOCABULARY,
        captions_per_image=2,
        max_words=20,
    )
    return network, next(iter(batches(images, batch_size=len(EXAMPLES))))


def test_the_loss_is_summed_over_words_and_averaged_over_captions(tmp_path):
    recipe = recipe_of(tmp_path)
    network, batch = prepared(recipe)
    objective = Likelihood(recipe, VOCABULARY)
    loss = objective(network.eval(), batch)
    features = network.features(batch.inputs)
    unrolled, words = read_references(network.decoder, features, batch, objective.words)
    lengths = batch.lengths.flatten()
    assert unrolled.attention is not None
    penalty = doubly_stochastic_penalty(unrolled.attention.flatten(0, 1), lengths)
    assert loss.captions == len(lengths) == 16
    assert loss.value.item() == pytest.approx((words.loss / 16 + 0.5 * penalty).item(), rel=1e-5)
    assert loss.figures["cross_entropy_per_word"].item() == pytest.approx(
        (words.loss / lengths.sum()).item(), rel=1e-5
    )
    assert 0 < loss.figures["attention_peak"] <= 1


HARD = ("decoder.name=hard", "decoder.penalty=0.0", "decoder.expectation=0.0")


@pytest.mark.parametrize("credit", ["caption", "reward_to_go"])
def test_hard_attention_learns_where_to_look_from_the_likelihood_alone(tmp_path, credit: str):
    gradients = []
    for weight in (1.0, 0.0):
        recipe = recipe_of(
            tmp_path,
            *HARD,
            f"decoder.reinforce_weight={weight}",
            "decoder.entropy_weight=0.0",
            f"decoder.credit={credit}",
        )
        network, batch = prepared(recipe)
        objective = Likelihood(recipe, VOCABULARY)
        for _ in range(2):  # the first batch is judged by its own mean
            network.zero_grad()
            torch.manual_seed(1)
            objective(network.train(), batch).value.backward()
        gradients.append(network.decoder.v.grad.abs().max().item())
    assert gradients[0] > 1e-6
    assert gradients[1] == 0  # a draw hands no gradient on


def test_the_baseline_follows_the_log_likelihood_and_is_part_of_the_checkpoint(tmp_path):
    recipe = recipe_of(tmp_path, *HARD)
    network, batch = prepared(recipe)
    objective = Likelihood(recipe, VOCABULARY)
    first = objective(network.train(), batch).figures
    b1 = objective.reinforce.baseline.item()
    assert b1 == pytest.approx(first["reinforce_reward"].item())
    second = objective(network, batch).figures
    assert second["reinforce_baseline"].item() != pytest.approx(b1)
    assert objective.reinforce.baseline.item() == pytest.approx(
        0.9 * b1 + 0.1 * second["reinforce_reward"].item()
    )
    assert set(objective.state_dict()) == {"reinforce.baseline"}


def test_each_caption_is_read_with_several_samples(tmp_path):
    recipe = recipe_of(tmp_path, *HARD, "decoder.samples=3")
    network, batch = prepared(recipe)
    loss = Likelihood(recipe, VOCABULARY)(network.train(), batch)
    assert loss.captions == 3 * 16
    assert loss.figures["attention_entropy"] > 0


def test_captions_on_the_expected_context_leave_the_baseline_alone(tmp_path):
    recipe = recipe_of(
        tmp_path, "decoder.name=hard", "decoder.penalty=0.0", "decoder.expectation=1.0"
    )
    network, batch = prepared(recipe)
    objective = Likelihood(recipe, VOCABULARY)
    loss = objective(network.train(), batch)
    assert objective.reinforce.baseline.isnan()
    assert "reinforce_reward" not in loss.figures
    loss.value.backward()
    assert network.decoder.v.grad.abs().max() > 0


def test_rewards_are_cider_with_the_end_as_a_word(tmp_path):
    recipe = recipe_of(tmp_path, "training.objective=self_critical")
    objective = SelfCritical(recipe, VOCABULARY, REFERENCES)
    example = EXAMPLES[3]
    ended, cut = ([*ptb_tokenize(example.captions[0]), *tail] for tail in (["<end>"], []))
    rewards = objective._rewards([ended, cut], [example.image_id], 2)
    cider = Cider(
        [[[*ptb_tokenize(c), "<end>"] for c in captions] for captions in REFERENCES.values()]
    )
    assert rewards[0].tolist() == pytest.approx(cider([ended, cut], [3, 3]).tolist(), rel=1e-6)
    assert rewards[0, 0] > rewards[0, 1]


@pytest.mark.parametrize("name", ["rnn", "nic", "dot", "soft", "hard", "spatial", "adaptive"])
@pytest.mark.parametrize("baseline", ["greedy", "leave_one_out"])
def test_a_self_critical_step_reaches_every_parameter(tmp_path, name: str, baseline: str):
    attention = ", attention: 12" if name in ("soft", "hard", "spatial", "adaptive") else ""
    text = re.sub("(?m)^decoder: .*", f"decoder: {{name: {name}, hidden: 24{attention}}}", RECIPE)
    recipe = read_recipe(
        write_recipe(tmp_path, text), [f"training.self_critical.baseline={baseline}"]
    )
    network, batch = prepared(recipe)
    objective = SelfCritical(recipe, VOCABULARY, REFERENCES)
    network.train()
    loss = objective(network, batch)
    assert loss.captions == 5 * len(EXAMPLES)
    (loss.value + 0).backward()
    assert network.decoder.training
    missing = [key for key, value in network.decoder.named_parameters() if value.grad is None]
    assert missing == []


def test_what_is_rewarded_becomes_likelier(tmp_path):
    recipe = recipe_of(tmp_path, "search.max_words=16")
    network, batch = prepared(recipe)
    adam = Adam(network.parameters(), lr=0.01)
    steps = [Likelihood(recipe, VOCABULARY)] * 40
    steps += [SelfCritical(recipe, VOCABULARY, REFERENCES)] * 40
    rewards = []
    for number, objective in enumerate(steps):
        torch.manual_seed(number)
        if number == 40:
            adam = Adam(network.parameters(), lr=0.002)
        loss = objective(network.train(), batch)
        adam.zero_grad()
        loss.value.backward()
        adam.step()
        rewards += [loss.figures["reward"].item()] if "reward" in loss.figures else []
    assert sum(rewards[-10:]) > 1.05 * sum(rewards[:10])


def test_one_sample_has_no_others_to_compare_with(tmp_path):
    with pytest.raises(UsageError, match="give samples=5, or baseline=greedy"):
        recipe_of(tmp_path, "training.self_critical.samples=1")


def test_a_second_stage_begins_with_a_model_and_its_words(tmp_path):
    first = recipe_of(tmp_path, "training.epochs=1")
    model = train(first, tmp_path / "first", say=lambda _: None)
    second = recipe_of(
        tmp_path,
        "training.epochs=1",
        "training.objective=self_critical",
        "training.learning_rate=1e-6",
        "encoder.learning_rate=1e-6",
        f"training.start_from={model.folder}",
    )
    made = train(second, tmp_path / "second", say=lambda _: None)
    assert made.history[0]["train/reward"] >= 0
    assert len(made.captioner.vocabulary) == len(model.captioner.vocabulary)
    with torch.no_grad():
        decoders = [Model.read(one.folder).network.decoder for one in (made, model)]
        pairs = zip(*(decoder.parameters() for decoder in decoders), strict=True)
        moved = [(a - b).abs().max() for a, b in pairs]
        assert 0 < max(moved) < 1e-4
    other = recipe_of(tmp_path, f"training.start_from={model.folder}", "decoder.hidden=25")
    with pytest.raises(UsageError, match=r"has decoder.hidden=24, the recipe says 25"):
        train(other, tmp_path / "third", say=lambda _: None)
    nowhere = recipe_of(tmp_path, f"training.start_from={tmp_path / 'none'}")
    with pytest.raises(ModelError, match="There is no model folder"):
        train(nowhere, tmp_path / "third", say=lambda _: None)
