"""Several processes train what one does: shares of a batch, sums over processes, whole runs."""

import copy
import threading

import pytest
import torch

from cutline.config import read_recipe
from cutline.data.batches import CaptionedImages, EpochShuffle, Pictures, Shares, batches
from cutline.data.readers import open_dataset
from cutline.decoders import Hard
from cutline.encoders import keep_norms
from cutline.errors import UsageError
from cutline.network import build_network
from cutline.training import devices
from cutline.training.devices import Place, Processes, check_equal, find_place
from cutline.training.objectives import Likelihood, together
from cutline.vocabulary import Vocabulary
from support.runs import DECODERS, Run
from support.tiny import write_recipe

LAUNCHED = ("LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE", "SLURM_NTASKS")


def recipe_of(folder, *words):
    return read_recipe(write_recipe(folder), ["decoder.dropout=0.0", *words])


# --- shares of a batch


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [1, 4, 10, 11])
def test_shares_are_the_batches_of_one_process_each_image_once(images, size):
    order = EpochShuffle(images, seed=3)
    order.set_epoch(2)
    shares = [Shares(order, batch_size=4, rank=rank, size=size) for rank in range(size)]
    assert {len(share) for share in shares} == {-(-images // 4)}
    whole = list(order)
    for number, parts in enumerate(zip(*shares, strict=True)):
        batch = whole[4 * number : 4 * number + 4]
        assert sorted(turn for part in parts for turn in part) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


class Together(Processes):
    """Processes that are threads, and meet as processes do."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, table: list) -> None:
        super().__init__(rank, size)
        self.barrier = barrier
        self.table = table

    def total(self, numbers):
        self.table[self.rank] = numbers.detach() * (not self.absent)
        self.barrier.wait()
        summed = sum(self.table)
        self.barrier.wait()
        return summed


def in_threads(work, size):
    """Return what `work(processes)` returns in each of so many threads."""
    barrier, table, found = threading.Barrier(size, timeout=60), [None] * size, [None] * size

    def run(rank):
        try:
            found[rank] = work(Together(rank, size, barrier, table))
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


EXAMPLES = open_dataset("scenes", train=7, val=1, test=1).split("train")
VOCABULARY = Vocabulary.build([c for e in EXAMPLES for c in e.captions], min_frequency=1)
HARD = ("decoder.name=hard", "decoder.penalty=0.5", "decoder.expectation=0.0")


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("training.label_smoothing=0.1",),
        (*HARD, "decoder.credit=caption", "decoder.samples=1", "decoder.baseline=moving"),
        (*HARD, "decoder.credit=reward_to_go", "decoder.samples=1", "decoder.baseline=moving"),
        (*HARD, "decoder.credit=reward_to_go", "decoder.samples=2"),
        (*HARD, "decoder.expectation_epochs=1"),
    ],
)
def test_the_gradients_of_shares_are_that_of_the_batch(words, size, tmp_path, monkeypatch):
    """Two steps, so that baselines have moved; of 8 processes the last has no image."""
    monkeypatch.setattr(Hard, "sample", lambda _, alpha: alpha.detach().argmax(1))
    recipe = recipe_of(tmp_path, "encoder.trainable=none", *words)

    torch.manual_seed(0)
    begun = build_network(recipe.encoder, recipe.decoder, vocabulary_size=len(VOCABULARY))
    begun.decoder.begin_epoch(1)

    def gradient(processes):
        network = copy.deepcopy(begun)
        objective = Likelihood(recipe, VOCABULARY, processes)
        found = []
        for part in (EXAMPLES, EXAMPLES[:6]):
            own = part[processes.rank :: processes.size]
            processes.absent = not own
            network.zero_grad()
            loss = objective(network, batch_of(own or EXAMPLES[:1], network))
            merged, share = together(loss, processes)
            (loss.value * share).backward()
            flat = [p.grad.flatten() for p in network.decoder.parameters() if p.grad is not None]
            found.append((torch.cat(flat), merged))
        return found

    alone = gradient(Processes())
    parts = in_threads(gradient, size)
    for step, (whole, loss) in enumerate(alone):
        mean = sum(part[step][0] for part in parts) / size
        torch.testing.assert_close(mean, whole, rtol=1e-4, atol=1e-4)
        for part in parts:
            merged = part[step][1]
            assert merged.captions == loss.captions
            assert merged.value.item() == pytest.approx(loss.value.item(), rel=1e-5)
            for name, figure in loss.figures.items():
                assert merged.figures[name].item() == pytest.approx(figure.item(), rel=1e-5)


def batch_of(examples, network):
    images = CaptionedImages(
        examples,
        Pictures([example.picture for example in examples], network.encoder.preprocessing),
        VOCABULARY,
        captions_per_image=3,
        max_words=20,
    )
    return next(iter(batches(images, batch_size=len(examples))))


# --- which process this is


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Say where a process with such words and such an environment stands."""
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    def place(*words, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        return find_place(recipe_of(tmp_path, *words).training)

    return place


def test_a_cpu_is_one_process_unless_the_recipe_says_otherwise(settings):
    assert settings() == Place()
    assert settings("training.devices=3") == Place(3, 1, 0, 0)
    assert settings("training.devices=3", LOCAL_RANK=2) == Place(3, 1, 2, 2)


def test_all_gpus_are_used_and_no_more_than_there_are(settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert settings() == Place(2, 1, 0, 0)
    assert settings("training.devices=1") == Place()
    with pytest.raises(UsageError, match=r"4 processes for each node, but .* 2 GPUs; give"):
        settings("training.devices=4")


def test_several_nodes_know_which_they_are(settings):
    with pytest.raises(UsageError, match="start the command on each with torchrun or srun"):
        settings("training.nodes=2", "training.devices=2")
    words = ("training.nodes=2", "training.devices=2")
    assert settings(*words, NODE_RANK=1, LOCAL_RANK=1) == Place(2, 2, 3, 1)


ELASTIC = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2}
SLURM = {
    "SLURM_NTASKS": 4,
    "SLURM_NTASKS_PER_NODE": 2,
    "SLURM_JOB_NAME": "train",
    "SLURM_PROCID": 3,
    "SLURM_LOCALID": 1,
}


@pytest.mark.parametrize(
    ("name", "environment"),
    [("torchrun", {**ELASTIC, "RANK": 3, "LOCAL_RANK": 1}), ("SLURM", SLURM)],
)
def test_what_torchrun_or_slurm_started_is_taken_over(settings, name, environment):
    assert settings(**environment) == Place(2, 2, 3, 1)
    assert settings("training.nodes=2", "training.devices=2") == Place(2, 2, 3, 1)
    with pytest.raises(UsageError, match=f"{name} started 4 processes, but training.devices=3"):
        settings("training.devices=3")


# --- what could not be equal


def test_batch_norm_that_is_trained_is_refused_and_a_kept_one_is_not(tmp_path):
    def checked(*words, size=2):
        recipe = recipe_of(tmp_path, *words)
        network = build_network(recipe.encoder, recipe.decoder, vocabulary_size=20)
        if recipe.encoder.batch_norm == "frozen":
            keep_norms(network.encoder)
        check_equal(network, recipe, Place(size))

    checked("encoder.trainable=none")
    checked("encoder.batch_norm=frozen")
    checked(size=1)
    with pytest.raises(UsageError, match=r"BatchNorm .* give encoder\.batch_norm=frozen, or train"):
        checked()
    with pytest.raises(UsageError, match=r"BatchNorm .* leave decoder\.head out, or training\.dev"):
        checked("encoder.trainable=none", "decoder.head=8")
    with pytest.raises(UsageError, match=r"batch_size is 8 images for 9 processes .* give 9 or"):
        checked("encoder.trainable=none", size=9)


def test_a_process_alone_is_its_own_sum():
    assert Processes().total(torch.ones(2)).tolist() == [1, 1]
    assert Processes().gathered("a") == ["a"]


def test_the_faults_of_a_lost_process_are_known():
    known = devices._is_of_peers
    assert known(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
    assert not known(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


# --- whole runs

DRAWN = {
    "hard": ("hard", ("decoder.expectation=0",), ("regions",)),
    "hard, whole captions": (
        "hard",
        ("decoder.expectation=0", "decoder.credit=caption", "decoder.baseline=moving"),
        ("regions",),
    ),
    "self-critical": ("soft", ("training.objective=self_critical",), ("words",)),
    "self-critical, greedy": (
        "soft",
        ("training.objective=self_critical", "training.self_critical.baseline=greedy"),
        ("words",),
    ),
    "scheduled sampling": (
        "soft",
        ("training.scheduled_sampling.increase=1", "training.scheduled_sampling.maximum=1"),
        ("words",),
    ),
    "moving average": ("nic", ("training.ema_decay=0.9",), ()),
}
CASES = {name: (name, (), ()) for name in DECODERS} | DRAWN


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does_over_two_hundred_steps(case, tmp_path):
    decoder, words, patches = CASES[case]
    words = (*words, "training.epochs=67")
    one, two = (
        Run(tmp_path / f"{size}", *words, decoder=decoder, size=size, patches=patches)
        for size in (1, 2)
    )
    one.done(), two.done()
    assert len(one.steps) == 201
    assert two.steps == pytest.approx(one.steps, abs=1e-4)
    for row, other in zip(one.figures, two.figures, strict=True):
        assert other == pytest.approx(row, abs=1e-4)
    assert two.captions == one.captions
    assert two.said(1).strip() == ""


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others_in_a_sentence(tmp_path):
    run = Run(tmp_path, "training.epochs=500", size=2)
    run.wait_for_steps(5)
    run.kill(1)
    assert run.wait(60) == [2, -9]
    assert "Another of the 2 processes has ended, so training stops" in run.said()
    assert "Traceback" not in run.said()
