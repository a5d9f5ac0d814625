# %% [markdown]
# # The lesson
#
# A captioner is a network that looks at a picture and writes a sentence about it. This lesson
# builds one step by step. It begins with the smallest part, a network that reads one word after the
# other. Then it adds memory, attention, hard attention, and at last the choice not to look at the
# picture. There are nine steps:
#
# | | |
# |---|---|
# | 1 | a scene, its captions, and where things are |
# | 2 | what a CNN's grid is |
# | 3 | the plain RNN, its backward pass by hand, and why it forgets |
# | 4 | the LSTM, and why it remembers |
# | 5 | Show and Tell: the picture is read once |
# | 6 | attention: look before each word |
# | 7 | hard attention: one place only, and why that needs REINFORCE |
# | 8 | the sentinel: which words need no picture |
# | 9 | what scores say, and what they do not |
#
# You need to know Python and a little PyTorch. You need no graphics card, no download and no
# photograph, because the pictures are drawn. Everything runs in about five minutes on a laptop, and
# every number and figure on this page was made by the cell above it. To run it yourself, in a
# checkout of Cutline:
#
# ```text
# pip install '.[lesson]' jupyterlab
# jupyter lab docs/lesson.ipynb
# ```
#
# Shapes are written in the same letters everywhere:
#
# | | | | |
# |---|---|---|---|
# | `B` | images | `E` | size of a word's embedding |
# | `N` | captions in a batch | `H` | size of the hidden state |
# | `T` | time steps | `R` | regions of an image, a grid of `h x w` |
# | `V` | words in the vocabulary | `D` | feature size of one region |

# %%
import itertools
import textwrap
import warnings
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore", message="IProgress not found")  # of progress bars we do not use
torch.set_num_threads(1)  # the steps here are small; several threads would wait for each other
plt.rcParams.update({"figure.dpi": 80, "font.size": 9, "axes.titlesize": 9, "image.cmap": "magma"})

# %% [markdown]
# ## 1. A scene, its captions, and where things are
#
# A *scene* is a picture of a few coloured shapes on a textured background. It is drawn from a
# number, its seed. We make 8,300 scenes: 8,000 to learn from, and 300 for testing, which no network
# sees in training.

# %%
from cutline.data.scenes import captions, draw, grounding, is_true, scenes_dataset

data = scenes_dataset(train=8000, val=0, test=300)
train, test = data.split("train"), data.split("test")

example = test[16]  # we shall meet this one again
scene = example.picture.scene
for thing in scene.things:
    print(f"{thing.size} {thing.colour} {thing.shape:9} x {thing.x:.2f}  y {thing.y:.2f}")

# %% alt="A scene, and the same scene with a box around each of its three shapes."
picture = draw(scene, 160)
figure, (left, right) = plt.subplots(1, 2, figsize=(5.2, 2.6))
for axes in (left, right):
    axes.imshow(picture)
    axes.set_axis_off()
for thing, (x0, y0, x1, y1) in zip(scene.things, scene.boxes(160), strict=True):
    right.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="white", lw=2))
    right.text(x0, y1 + 12, thing.shape, color="white", weight="bold")
left.set_title("what a captioner gets")
right.set_title("what a scene knows about itself")
plt.show()

# %% [markdown]
# Five people might describe a picture in five ways, so each scene has five captions. The truth
# about a scene is known. So we can also judge any sentence about it: a caption is *true* if every
# fact that it states holds.

# %%
assert captions(scene) == example.captions
sentences = [*example.captions, "a yellow star above a green triangle", "a star star"]
for sentence in sentences:
    print(f"{'true ' if is_true(sentence, scene) else 'FALSE'}  {sentence}")
assert [is_true(sentence, scene) for sentence in sentences] == 5 * [True] + 2 * [False]

# %% [markdown]
# For a scene we also know which object each word *means*. `grounding` gives, for each noun of a
# caption, the objects that it may mean. Below, these objects are bright. Remember this picture: we
# hope to see the same later, when a network chooses by itself where to look, although nobody told
# it.

# %%
from cutline.explain import spotlight, spread


def strip(picture, words, looks, notes=()):
    """Show a picture, then for each word the picture lit where it looks: (T, h, w)."""
    panels = [picture] + [
        spotlight(picture, spread(look, (0, 0, 1, 1), picture.size)) for look in looks
    ]
    titles = ["", *words]
    rows = -(-len(panels) // 10)
    columns = -(-len(panels) // rows)
    size = (1.02 * columns, (1.45 if notes else 1.25) * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, panel, title in zip(grid.flat, panels, titles, strict=False):
        axes.imshow(panel)
        axes.set_title(title)
    for axes, note in zip(grid.flat, ["", *notes], strict=False):
        axes.text(0.5, -0.16, note, ha="center", transform=axes.transAxes, color="grey")
    figure.tight_layout(pad=0.3)
    plt.show()


# %% alt="Under each noun of the caption, the scene lit where that thing is."
words = "a yellow star below a green triangle".split()
meant = grounding(words, scene)  # {index of a noun: the things that it may mean}
masks = scene.masks(32)  # (things, 32, 32): where each is seen
lit = np.stack([masks[list(meant.get(t, ()))].any(0) for t in range(len(words))])
strip(draw(scene, 96), words, lit.astype(float))

# %% [markdown]
# ### Words to numbers
#
# A network reads numbers. The *vocabulary* is the list of all words of the training captions, each
# with its number, and four special words: `<pad>` fills up short captions, `<start>` and `<end>`
# mark the beginning and the end, and `<unk>` stands for a word that is not in the list.

# %%
from cutline.vocabulary import Vocabulary

vocabulary = Vocabulary.build((c for e in train for c in e.captions), min_frequency=1)
numbers = vocabulary.encode("a yellow star below a green triangle")
print(len(vocabulary), "words")
print(numbers)
print(vocabulary.words(numbers))

# %% [markdown]
# A captioner is trained to predict the *next* word. So its input and its target are the same
# caption, shifted by one word:

# %%
for word, following in itertools.pairwise(vocabulary.words(numbers)):
    print(f"reads {word:8}  should say {following}")

# %% [markdown]
# The size of these numbers has no meaning: word 17 is not larger than word 9. So the first thing
# that a network does is to replace each number by a vector: word 17 becomes row 17 of a table of `V
# x E` numbers, the *embedding*. The table begins with random numbers and is learned like all other
# weights. This is our caption, embedded, with `E = 32`:

# %% alt="A picture of the embedded caption: a row of 32 random numbers for each word."
torch.manual_seed(0)
E = 32
embedding = torch.randn(len(vocabulary), E, dtype=torch.float64)
x = embedding[numbers[:-1]].unsqueeze(0)  # (N, T, E): one caption, 8 words to read

figure, axes = plt.subplots(figsize=(6, 1.8))
axes.imshow(x[0], cmap="RdBu", vmin=-3, vmax=3, aspect="auto")
axes.set_yticks(range(len(numbers) - 1), vocabulary.words(numbers[:-1]))
axes.set_xlabel("the 32 numbers of each word")
plt.show()

# %% [markdown]
# ## 2. What a CNN's grid is
#
# A convolutional network (CNN) makes a picture smaller and gives it more channels. 64 x 64 pixels
# with 3 colours become a grid of 8 x 8 cells with 64 numbers. We put the cells in one row and call
# them *regions*: `R = 64` vectors of size `D = 64`, and region `r` lies in row `r // 8`, column `r
# % 8`.
#
# Cutline takes its networks from `timm`. This is a ResNet, made as small as the scenes allow. To
# each region it adds a learned vector that belongs to this position (`positions`), so that left and
# right can be distinguished. We make these vectors four times as long as usual, because large
# numbers are learned sooner, and we want to be fast.

# %%
from cutline.config import EncoderConfig
from cutline.encoders import build_encoder

torch.manual_seed(0)
encoder = build_encoder(
    EncoderConfig(
        name="resnet10t",
        weights="random",
        size=64,
        stage=2,
        trainable="all",
        positions=True,
        options={"channels": [32, 64, 96, 96], "layers": [1, 1, 1, 1], "stem_width": 16},
    )
)
encoder.positions.data *= 4


def pixels(examples):
    """Return pictures as an encoder reads them: bytes, (B, 3, 64, 64)."""
    squares = [np.asarray(example.picture.open()) for example in examples]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


seen = encoder(pixels([example]))
print("grid", tuple(seen.grid.shape), " pooled", tuple(seen.pooled.shape))

# %% alt="The scene cut into 8 by 8 cells, one of them framed, and the 64 numbers of that cell."
ROW, COLUMN = 6, 2
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), width_ratios=(1, 1.6))
left.imshow(picture)
left.set_xticks(np.arange(0, 160, 20) - 0.5, [])
left.set_yticks(np.arange(0, 160, 20) - 0.5, [])
left.grid(color="white", lw=0.6)
left.add_patch(plt.Rectangle((20 * COLUMN, 20 * ROW), 20, 20, fill=False, color="red", lw=3))
right.bar(range(64), seen.grid[0, 8 * ROW + COLUMN].detach(), color="tab:red")
right.set(title=f"region {8 * ROW + COLUMN}: its 64 numbers, before training")
plt.show()

# %% [markdown]
# With random weights, these numbers mean little. Captioners usually take a CNN that was trained on
# a million labelled photographs, and do not change it. We train ours ourselves. We know what is in
# each cell of a scene, so a linear layer on top of each region learns to predict it. There are 97
# classes: 2 sizes x 8 colours x 6 shapes, and "nothing". (This is the one place in the lesson where
# a network is told where things are. No *captioner* will be.)

# %%
from cutline.data.scenes.words import COLOURS, SHAPES, SIZES

KINDS = list(itertools.product(SIZES, COLOURS, SHAPES))


def cells(examples):
    """Return what is in each cell, (B, 64): 0 for nothing, or 1 + the number of its kind."""
    labels = np.zeros((len(examples), 64), dtype=np.int64)
    for row, one in enumerate(examples):
        things = one.picture.scene.things
        covered = one.picture.scene.masks(64).reshape(-1, 8, 8, 8, 8).mean((2, 4)) > 0.3
        for thing, where in zip(things, covered, strict=True):
            labels[row, where.flatten()] = 1 + KINDS.index((thing.size, thing.colour, thing.shape))
    return torch.from_numpy(labels)


classify = nn.Linear(encoder.feature_size, 1 + len(KINDS))
weights = [*encoder.parameters(), *classify.parameters()]
pictures, labels = pixels(train), cells(train)
optimizer = torch.optim.AdamW(weights, 1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=4 * 250, pct_start=0.15)
encoder.train()
for epoch in range(4):
    for rows in torch.randperm(len(train)).split(32):
        answers = classify(encoder(pictures[rows]).grid)
        loss = F.cross_entropy(answers.flatten(0, 1), labels[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"epoch {epoch + 1}: {loss.item():.3f} nats a cell")
encoder = encoder.eval().requires_grad_(False)

# %% [markdown]
# We test on scenes that it never saw. Of the cells that contain an object, for how many does it
# predict the right size, colour and shape?

# %% alt="Three scenes; beside each, the grid: each cell painted and named as the CNN believes."
with torch.no_grad():
    named = classify(encoder(pixels(test)).grid).argmax(2)
asked = cells(test)
right_cells = (named == asked)[asked > 0].float().mean().item()
print(f"{right_cells:.3f} of the cells that hold something are named exactly")
assert right_cells > 0.8

figure, grid = plt.subplots(1, 6, figsize=(9, 1.6))
for (left, right), i in zip(grid.reshape(3, 2), (16, 18, 28), strict=True):
    left.imshow(test[i].picture.open())
    right.set(xlim=(0, 8), ylim=(8, 0), aspect="equal", facecolor="lightgrey")
    right.set_xticks([])
    right.set_yticks([])
    left.set_axis_off()
    for r, answer in enumerate(named[i].tolist()):
        if answer:
            size, colour, shape = KINDS[answer - 1]
            right.add_patch(plt.Rectangle((r % 8, r // 8), 1, 1, color=colour))
            ink = "black" if colour in ("white", "yellow", "orange") else "white"
            right.text(r % 8 + 0.5, r // 8 + 0.55, shape[:2], color=ink, size=6, ha="center")
figure.tight_layout(pad=0.3)
plt.show()

# %% [markdown]
# So a grid is a small picture in which each cell describes, with 64 numbers, what is there. From
# here on the CNN is *frozen*: its weights do not change, so each picture's features are computed
# once and stored.
#
# Captioners that do not look at the grid get one vector for the whole picture, `pooled`: the mean
# of the regions, here shifted and scaled so that each of its numbers varies around 0 by about 1.

# %%
from cutline.functional import Features


@torch.no_grad()
def table(examples):
    """Return the regions of many pictures, (B, R, D)."""
    return torch.cat([encoder(part).grid for part in pixels(examples).split(100)])


train_table, test_table = table(train), table(test)
means = train_table.mean(1)
centre, scale = means.mean(0), means.std(0)


def features(regions):
    """Return what a decoder gets: the grid (B, R, D), and the pooled vector (B, D)."""
    return Features(regions, (regions.mean(1) - centre) / scale, height=8, width=8)


print(tuple(features(test_table).grid.shape), tuple(features(test_table).pooled.shape))

# %% [markdown]
# ## 3. The bare RNN
#
# A recurrent network (RNN) reads one word at a time and keeps a vector, its *hidden state* `h`. At
# each step it computes a new state from the new word and the old state, with the same weights at
# every step:
#
# $$h_t = \tanh(x_t W_x + h_{t-1} W_h + b)$$
#
# Here is one step, first written by us, then by Cutline. (Much of this lesson is also a tour of
# `cutline.functional`, because the captioners call these functions.)

# %%
from cutline.functional import rnn, rnn_backward, rnn_step, temporal_softmax_loss

H = 32


def drawn(*shape):
    """Draw weights as PyTorch draws those of its RNNs."""
    return torch.empty(*shape, dtype=torch.float64).uniform_(-(H**-0.5), H**-0.5).requires_grad_()


torch.manual_seed(0)
Wx, Wh, b = drawn(E, H), drawn(H, H), drawn(H)
h0 = torch.zeros(1, H, dtype=torch.float64)

first = x[:, 0]  # the embedding of `<start>`, (N, E)
ours = torch.tanh(first @ Wx + h0 @ Wh + b)
assert torch.allclose(ours, rnn_step(first, h0, Wx, Wh, b), atol=1e-12)
print(tuple(ours.shape))

# %% [markdown]
# *Unrolled* over a caption, each step is given the state that the one before it left. The state
# after the last word is all that the network knows about everything it has read.

# %% alt="The hidden state after each word of the caption: a column of 32 numbers for each word."
h = rnn(x, h0, Wx, Wh, b)  # (N, T, H)

figure, axes = plt.subplots(figsize=(5, 2.6))
axes.imshow(h[0].detach().T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
axes.set_xticks(range(h.shape[1]), vocabulary.words(numbers[:-1]))
axes.set(ylabel="the 32 numbers of h", title="the state after each word")
plt.show()

# %% [markdown]
# From each state the network predicts the next word. A linear map gives each word of the vocabulary
# a score, and `softmax` turns the scores into probabilities. The loss is the *cross-entropy*: the
# negative log-probability of the true words, summed over the caption and averaged over captions:
#
# $$L = -\frac{1}{N} \sum_n \sum_t \log \mathrm{softmax}(h_{nt} W_v + b_v)[y_{nt}]$$
#
# A network that has learned nothing gives each of the `V` words a probability of about `1 / V`, so
# its loss is about `log V` for each word.

# %%
Wv, bv = drawn(H, len(vocabulary)), drawn(len(vocabulary))
targets = torch.tensor(numbers[1:]).unsqueeze(0)  # (N, T)

scores = h @ Wv + bv  # (N, T, V)
loss = temporal_softmax_loss(scores, targets, ignore_index=vocabulary.pad)
a_word = loss.item() / targets.shape[1]
print(f"loss {loss.item():.2f}: {a_word:.2f} a word; log V is {np.log(len(vocabulary)):.2f}")
assert abs(a_word - np.log(len(vocabulary))) < 1

# %% [markdown]
# ### Backward, by hand
#
# To learn, the network must know for each weight how much the loss grows if the weight grows a
# little. This is the gradient. PyTorch computes it with one call. Let us compute it once ourselves,
# from the end to the beginning. We write `dz` for the gradient of the loss with respect to `z`; it
# has the same shape as `z`.
#
# *The scores.* The gradient of a log-softmax is simple: the probabilities, minus one at the true
# word.
#
# $$dscores = (\mathrm{softmax}(scores) - \mathrm{onehot}(y))\,/\,N$$
#
# *The linear map.* `scores = h Wv + bv`, so
#
# $$dh = dscores\,W_v^\top \qquad dW_v = h^\top dscores \qquad db_v = \sum dscores$$

# %%
with torch.no_grad():
    dscores = scores.softmax(-1)
    dscores[0, range(targets.shape[1]), targets[0]] -= 1
    dh = dscores @ Wv.T  # (N, T, H)
    dWv = h[0].T @ dscores[0]

# %% [markdown]
# *The steps.* Now comes the idea of back-propagation through time. The loss depends on the state
# $h_t$ in two ways: directly, because a word is predicted from it (this is the $dh_t$ that we
# have), and through the next step, which reads it. We call the argument of the tanh $a_t$. The
# derivative of tanh is $1 - \tanh^2$. From the last step to the first,
#
# $$da_t = (dh_t + da_{t+1} W_h^\top) * (1 - h_t^2)$$
#
# where the second term is zero at the last step. All other gradients follow from $a_t = x_t W_x +
# h_{t-1} W_h + b$:
#
# $$dx_t = da_t W_x^\top \qquad dh_0 = da_1 W_h^\top \qquad dW_x = \sum_t x_t^\top da_t \qquad dW_h = \sum_t h_{t-1}^\top da_t \qquad db = \sum_t da_t$$
#
# The weights are the same at each step, so their gradients add up over the steps.

# %%
with torch.no_grad():
    dWx, dWh, db = torch.zeros_like(Wx), torch.zeros_like(Wh), torch.zeros_like(b)
    from_the_next = torch.zeros_like(h0)
    for t in reversed(range(h.shape[1])):
        before = h[:, t - 1] if t else h0
        da = (dh[:, t] + from_the_next) * (1 - h[:, t] ** 2)
        dWx += x[:, t].T @ da
        dWh += before.T @ da
        db += da.sum(0)
        from_the_next = da @ Wh.T

    library = rnn_backward(dh, x, h0, h, Wx, Wh)

autograd = torch.autograd.grad(loss, [Wx, Wh, b, Wv])
names = ("dWx", "dWh", "db", "dWv")
for name, byhand, exact in zip(names, (dWx, dWh, db, dWv), autograd, strict=True):
    print(f"{name:4} largest difference from autograd {(byhand - exact).abs().max():.0e}")
    assert torch.allclose(byhand, exact, atol=1e-12)
for name, byhand in (("dWx", dWx), ("dWh", dWh), ("db", db)):
    assert torch.allclose(byhand, getattr(library, name), atol=1e-12)

# %% [markdown]
# You have just derived what `loss.backward()` does. The last lines are Cutline's `rnn_backward`,
# which is the same loop; `decoder.backward: manual` in a recipe trains the `rnn` captioner with it.
#
# ### Why it forgets
#
# Look at the loop again. Each step backwards multiplies by $W_h^\top$ and by $1 - h_t^2$, which is
# never more than one. Forty words back, there are forty such factors. If they make a vector
# shorter, the gradient vanishes; if they make it longer, the gradient explodes. To see this, we
# read our scene's five captions as one long text, take the loss at its last word only, and measure
# how much it depends on each earlier word: the length of $dx_t$.

# %%
text = vocabulary.encode(" ".join(example.captions), max_words=100)
long_x = embedding[text[:-1]].unsqueeze(0)
T = long_x.shape[1]


def felt_by_the_rnn(times):
    """Return how the last word's loss feels each word, (T,), with `times` the weights Wh."""
    with torch.no_grad():
        states = rnn(long_x, h0, Wx, times * Wh, b)
        surprise = (states[:, -1] @ Wv + bv).softmax(-1)
        surprise[0, text[-1]] -= 1
        at_the_end = torch.zeros_like(states)
        at_the_end[:, -1] = surprise @ Wv.T
        return rnn_backward(at_the_end, long_x, h0, states, Wx, times * Wh).dx[0].norm(dim=1)


# %% alt="Gradient by each word on a logarithmic axis: it fades by 12 orders, or it grows."
def plot_felt(lines):
    """Plot how strongly the last word's loss feels the words before it."""
    figure, axes = plt.subplots(figsize=(7, 3))
    for name, felt, colour in lines:
        axes.semilogy(np.arange(T) - T + 1, felt / felt[-1], label=name, color=colour)
    axes.set(xlabel="words before the last", ylabel="gradient, the last word's = 1")
    axes.grid(alpha=0.3)
    axes.legend()
    plt.show()


plain = felt_by_the_rnn(1)
plot_felt(
    [
        ("RNN, weights as drawn", plain, "tab:red"),
        ("RNN, Wh two and a half times as large", felt_by_the_rnn(2.5), "tab:orange"),
        ("RNN, Wh five times as large", felt_by_the_rnn(5), "tab:brown"),
    ]
)
assert plain[0] < 1e-8 * plain[-1]

# %% [markdown]
# With the usual random weights, the gradient of a word forty places back is a million million times
# smaller than that of the last word. Something so small is never learned. Larger weights are no
# solution: a little too large, and the gradient explodes.
#
# ### An RNN that captions
#
# Still, an RNN can caption. It needs a first state, and we make the first state from the picture:
# $h_0 = W_p\,\mathrm{CNN}(I) + b_p$ (Karpathy & Li 2015). This is Cutline's decoder `rnn`. Every
# decoder is used in the same way, and this is all of it:
#
# ```text
# memory = decoder.prepare(features)            what no step changes, computed once
# state  = decoder.start(memory)                before the first word
# out    = decoder.step(words, state, memory)   read a word of each caption
# scores = decoder.project(out.output)          how likely each word is to be next
# ```
#
# In training, the decoder reads the true captions (*teacher forcing*) and learns to make their
# words probable. The function `unroll` computes all steps; we add the usual training loop. All
# captioners below are trained by this cell.

# %%
from cutline.data.batches import CaptionedImages, EpochShuffle, batches
from cutline.fast import unroll

pairs = CaptionedImages(train, train_table.numpy(), vocabulary, captions_per_image=2, max_words=20)
order = EpochShuffle(len(pairs), seed=0)
loader = batches(pairs, batch_size=32, sampler=order)


def read_captions(decoder, batch):
    """Read a batch's captions; return the steps, and each true word's log-probability."""
    unrolled = unroll(decoder, features(batch.inputs), batch.words[:, :, :-1], batch.lengths)
    wanted = batch.words[:, :, 1:].reshape(-1)[unrolled.places]
    scores = decoder.project(unrolled.output)
    return unrolled, -F.cross_entropy(scores, wanted, reduction="none")


def likelihood(decoder, batch):
    """Return the loss, and what it is for one word."""
    _, log_probs = read_captions(decoder, batch)
    return -log_probs.sum() / batch.lengths.numel(), -log_probs.mean().item()


def teach(decoder, *, epochs, objective=likelihood, rate=3e-3):
    """Train a decoder; return the loss a word, step by step."""
    optimizer = torch.optim.AdamW(decoder.parameters(), rate)
    steps = epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )
    losses = []
    decoder.train()
    for epoch in range(epochs):
        order.set_epoch(epoch)
        for batch in loader:
            loss, a_word = objective(decoder, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(decoder.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(a_word)
        print(f"epoch {epoch + 1}: {np.mean(losses[-len(loader) :]):.3f} nats a word")
    decoder.eval()
    return losses


# %%
from cutline.decoders import Rnn

torch.manual_seed(0)
sizes = {"vocabulary_size": len(vocabulary), "feature_size": encoder.feature_size}
small = {**sizes, "embedding": 64, "hidden": 192, "dropout": 0.1}
learned = {}

rnn_decoder = Rnn(**small, backward="manual")  # its gradient is the loop above
learned["rnn"] = teach(rnn_decoder, epochs=4)

# %% [markdown]
# To caption, start from the picture, take the most probable word, read it, and go on until the word
# is `<end>`:


# %%
@torch.no_grad()
def speak(decoder, regions, longest=20):
    """Caption one picture, its regions (R, D), the most probable word at each step."""
    memory = decoder.prepare(features(regions.unsqueeze(0)))
    state = decoder.start(memory)
    word = torch.tensor([vocabulary.start])
    said = []
    while len(said) < longest:
        out = decoder.step(word, state, memory)
        state = out.state
        word = decoder.project(out.output).argmax(1)
        if word == vocabulary.end:
            break
        said.append(int(word))
    return " ".join(vocabulary.words(said))


# %% alt="Six scenes, each with the RNN's caption below it, true ones green, false ones red."
def album(decoder, chosen=(16, 34, 18, 1, 7, 31)):
    """Show some scenes with a decoder's captions: green where true, red where false."""
    figure, grid = plt.subplots(1, len(chosen), figsize=(9.5, 1.9))
    for axes, i in zip(grid, chosen, strict=True):
        said = speak(decoder, test_table[i])
        colour = "green" if is_true(said, test[i].picture.scene) else "crimson"
        axes.imshow(test[i].picture.open())
        axes.set_axis_off()
        lines = textwrap.fill(said, 18)
        axes.text(0.5, -0.05, lines, color=colour, transform=axes.transAxes, ha="center", va="top")
    plt.show()


album(rnn_decoder)

# %% [markdown]
# It has learned the language, and it sees something of the picture. How much? We measure the
# *truth* over all 300 test scenes, and do the same for each captioner below.

# %%
from cutline.captioner import generate
from cutline.config import SearchConfig
from cutline.data.scenes import read
from cutline.evaluation import score_scenes
from cutline.network import Network, TorchBackend

scenes = {one.image_id: one.picture.scene for one in test}


def answers(decoder, beam=1):
    """Caption the 300 scenes; return the captions by image."""
    search = SearchConfig(beam=beam, max_words=20)
    backend = TorchBackend(Network(encoder, decoder))
    found = generate(backend, features(test_table), vocabulary, search)
    return {one.image_id: best[0] for one, best in zip(test, found, strict=True)}


said = {"rnn": answers(rnn_decoder)}
assert said["rnn"][example.image_id].text == speak(rnn_decoder, test_table[16])
results = {"rnn": score_scenes(said["rnn"], scenes)}
sound = np.mean([read(caption.text).readable for caption in said["rnn"].values()])
print(f"rnn: {sound:.2f} of its captions are sentences, {results['rnn'].truth:.2f} are true")

# %% [markdown]
# *Try:* raise `epochs`. Then remove the picture (`features` with `pooled` set to zero) and look at
# what the RNN says when it only knows how people talk.

# %% [markdown]
# ## 4. The LSTM
#
# The RNN replaces its whole state at every step. The LSTM (Hochreiter & Schmidhuber 1997) has a
# second state, the *cell* `c`, which changes more slowly. Three *gates*, numbers between 0 and 1,
# say for each entry of the cell how much new input is added (`i`), how much of the old value is
# kept (`f`), and how much is shown (`o`):
#
# $$a = x_t W_x + h_{t-1} W_h + b \qquad i, f, o = \sigma(a_i, a_f, a_o) \qquad g = \tanh(a_g)$$
#
# $$c_t = f * c_{t-1} + i * g \qquad h_t = o * \tanh(c_t)$$
#
# The second line is the important one: from one cell to the next there is no matrix and no tanh,
# only a product with `f`. Back through time, $dc_{t-1} = f * dc_t + \dots$; where the forget gate
# stays near one, the gradient stays too.

# %%
from cutline.functional import lstm, lstm_step

torch.manual_seed(1)
Ux, Uh, ub = drawn(E, 4 * H), drawn(H, 4 * H), torch.zeros(4 * H, dtype=torch.float64)
c0 = torch.zeros(1, H, dtype=torch.float64)

i, f, o, g = (first @ Ux + h0 @ Uh + ub).chunk(4, dim=1)
c1 = f.sigmoid() * c0 + i.sigmoid() * g.tanh()
h1 = o.sigmoid() * c1.tanh()
for mine, theirs in zip((h1, c1), lstm_step(first, h0, c0, Ux, Uh, ub), strict=True):
    assert torch.allclose(mine, theirs, atol=1e-12)

# %% [markdown]
# We measure the same as before: how much does the loss at the last word depend on the earlier
# words? We compare three LSTMs that differ in one number, the bias of the forget gate. At 0 the
# gate is half open on average ($\sigma(0) = 0.5$); at 3 it lets 95% of the cell through.


# %% alt="The same plot with LSTMs: with a forget bias of 3 the gradient stays level for 40 words."
def felt_by_the_lstm(forget_bias):
    """Return how the last word's loss feels each word, (T,)."""
    bias = ub.clone()
    bias[H : 2 * H] = forget_bias  # the gates stand in the order i, f, o, g
    asked = long_x.clone().requires_grad_()
    last = lstm(asked, h0, Ux, Uh, bias)[:, -1] @ Wv + bv
    F.cross_entropy(last, torch.tensor(text[-1:])).backward()
    return asked.grad[0].norm(dim=1)


kept = felt_by_the_lstm(3.0)
plot_felt(
    [
        ("LSTM, forget bias 3", kept, "tab:blue"),
        ("LSTM, forget bias 1", felt_by_the_lstm(1.0), "tab:cyan"),
        ("LSTM, forget bias 0", felt_by_the_lstm(0.0), "tab:grey"),
        ("RNN, weights as drawn", plain, "tab:red"),
    ]
)
assert kept[0] > 1e-3 * kept[-1]

# %% [markdown]
# With an open gate the line is flat: the gradient of a word forty places back is as large as that
# of a recent one. Does it matter? A test: read a colour, then 29 other words, then predict the
# colour. A network whose gradient vanishes before the first word cannot learn this.


# %% alt="Share of games won against training steps: only the LSTM with an open gate learns."
def play(kind, forget_bias=0.0, steps=300):
    """Learn to repeat the first of 30 words; return the share of games won, step by step."""
    torch.manual_seed(0)
    gates = 4 if kind is lstm else 1
    table, Wx, Wh, Wv = (
        nn.Parameter(torch.empty(*shape).uniform_(-(48**-0.5), 48**-0.5))
        for shape in ((len(vocabulary), 32), (32, gates * 48), (48, gates * 48), (48, len(COLOURS)))
    )
    b = nn.Parameter(torch.zeros(gates * 48))
    if kind is lstm:
        b.data[48:96] = forget_bias
    colours = torch.tensor(vocabulary.encode(" ".join(COLOURS))[1:-1])
    optimizer = torch.optim.Adam([table, Wx, Wh, Wv, b], 5e-3)
    won = []
    for _ in range(steps):
        numbers = torch.randint(4, len(vocabulary), (64, 30))
        answer = torch.randint(len(colours), (64,))
        numbers[:, 0] = colours[answer]
        scores = kind(10 * table[numbers], torch.zeros(64, 48), Wx, Wh, b)[:, -1] @ Wv
        optimizer.zero_grad()
        F.cross_entropy(scores, answer).backward()
        optimizer.step()
        won.append((scores.argmax(1) == answer).float().mean().item())
    return np.array(won)


games = {
    "LSTM, forget bias 3": play(lstm, 3.0),
    "LSTM, forget bias 0": play(lstm),
    "RNN": play(rnn),
}
figure, axes = plt.subplots(figsize=(7, 2.6))
for (name, won), colour in zip(games.items(), ("tab:blue", "tab:grey", "tab:red"), strict=True):
    axes.plot(np.convolve(won, np.ones(10) / 10, "valid"), label=name, color=colour)
axes.axhline(1 / len(COLOURS), color="black", ls=":", label="guessing")
axes.set(xlabel="training step", ylabel="games won", ylim=(0, 1.05))
axes.legend()
plt.show()
assert games["LSTM, forget bias 3"][-50:].mean() > 2 * games["RNN"][-50:].mean()

# %% [markdown]
# An LSTM does not always remember. With its gate half closed it forgets like the RNN. But its gate
# *can* stay open, and it learns when. (Captions are short, so there a bias of 0 is enough, and that
# is how Cutline's decoders begin.)
#
# *Try:* a forget bias of 1, or of 6.

# %% [markdown]
# ## 5. Show and Tell: the picture is read once
#
# Show and Tell (Vinyals et al. 2015), the first well known neural captioner, is an LSTM with one
# idea: the picture is the first word. Its vector is mapped to the size of a word's vector and read
# once, at the beginning.
#
# $$x_{-1} = W_i\,\mathrm{CNN}(I) \qquad x_t = W_e\,S_t \qquad p(y_t) = \mathrm{softmax}(W_v h_t)$$
#
# Cutline calls it `nic`, the paper's own name for it.

# %%
from cutline.decoders import Nic

torch.manual_seed(0)
nic = Nic(**small)
learned["nic"] = teach(nic, epochs=5)
said["nic"] = answers(nic)
results["nic"] = score_scenes(said["nic"], scenes)
print(f"nic: {results['nic'].truth:.2f} of its captions are true")
assert results["nic"].truth > results["rnn"].truth

# %% alt="Six scenes with the captions of Show and Tell, true ones green, false ones red."
album(nic)

# %% [markdown]
# This is better than the RNN. Which errors are left? We count how many of its false captions name
# only colours and shapes that the picture really has.


# %%
def only_what_is_there(caption, scene):
    """Say whether each colour and each shape that is said occurs in the scene."""
    there = {name for thing in scene.things for name in (thing.colour, thing.shape)}
    nouns = [(phrase.colour, phrase.noun) for phrase in read(caption.text).phrases]
    return {*itertools.chain(*nouns)} <= {*there, "", "shape"}


false = [image for image, one in said["nic"].items() if not is_true(one.text, scenes[image])]
mixed = np.mean([only_what_is_there(said["nic"][image], scenes[image]) for image in false])
print(f"{mixed:.2f} of its {len(false)} false captions name only what is there")

# %% [markdown]
# In these captions the captioner knows which colours and shapes there are, but not which colour
# belongs to which shape, or where. The reason: its one vector is a mean over the picture, in which
# a red star and a blue heart look much like a blue star and a red heart. And its state must
# remember the picture while it also remembers the sentence. It would help to look at the picture
# again.

# %% [markdown]
# ## 6. Attention: look before each word
#
# With *attention*, the decoder keeps the grid and reads from it before each word. What it reads is
# a weighted mean of the regions, the *context vector*. The *weights* are not negative and their sum
# is one.
#
# ### By dot products
#
# The query is a vector `h`. Each region gets a score, its dot product with the query, and a softmax
# turns the scores into weights (Luong et al. 2015):
#
# $$M = \mathrm{softmax}(h \cdot A\,/\,\sqrt{H}) \qquad context = A\,M$$
#
# Let us try queries that we understand. We take a region of the star (then of the circle, of the
# triangle) as the query, and see which regions are similar to it.

# %% alt="Asked with one region of the star, the weights light the star; likewise the other shapes."
from cutline.functional import dot_product_attention

regions = test_table[16] - train_table.mean((0, 1))  # (R, D), without what all regions share
A = regions.T.reshape(1, 64, 8, 8)  # (B, H, h, w)
asking = [int(mask.mean((1, 3)).argmax()) for mask in scene.masks(64).reshape(-1, 8, 8, 8, 8)]
context, M = dot_product_attention(regions[asking], A)  # three questions to one picture
assert torch.allclose(M.sum((1, 2)), torch.ones(len(asking)))
strip(draw(scene, 96), [f"like the {thing.shape}" for thing in scene.things], M.numpy())

# %% [markdown]
# In a captioner the query is the LSTM's hidden state, so the network learns what to ask for. This
# is Cutline's decoder `dot`.
#
# ### With a small network
#
# In Show, Attend and Tell (Xu et al. 2015) a small network compares query and region, so that the
# two need not be in the same vector space:
#
# $$e_{ti} = v \cdot \tanh(W_a a_i + W_h h_{t-1}) \qquad \alpha_t = \mathrm{softmax}(e_t) \qquad z_t = \beta_t \sum_i \alpha_{ti}\,a_i$$
#
# $W_a a_i$ does not change from word to word; it is computed once a picture, as `keys`. (The gate
# $\beta_t = \sigma(f_\beta(h_{t-1}))$ lets the model reduce the whole context vector.) Before
# training, all regions have about the same weight, and the context vector is the mean, which is all
# that `nic` ever sees:

# %%
from cutline.functional import additive_attention

torch.manual_seed(0)
keys = test_table[16:17] @ (0.05 * torch.randn(64, 48))  # (B, R, A)
z, alpha = additive_attention(
    torch.randn(1, 128),
    keys,
    test_table[16:17],
    0.05 * torch.randn(128, 48),
    0.05 * torch.randn(48),
)
assert torch.isclose(alpha.sum(), torch.ones(()))
print(f"weights from {alpha.min():.4f} to {alpha.max():.4f}; 1/R is {1 / 64:.4f}")
print(f"the context differs from the mean by {(z - test_table[16].mean(0)).abs().max():.3f}")

# %% [markdown]
# All of this is differentiable: if a parameter of the network changes a little, the attention
# weights, the context vector, the words and the loss also change a little. So nobody has to tell
# attention where to look; the gradient of the loss does. We train the whole decoder, `soft`, on
# captions alone.

# %%
from cutline.decoders import Soft

torch.manual_seed(0)
soft = Soft(**small, attention=64)
learned["soft"] = teach(soft, epochs=5)
said["soft"] = answers(soft)
results["soft"] = score_scenes(said["soft"], scenes)
print(f"soft: {results['soft'].truth:.2f} of its captions are true")
assert results["soft"].truth > results["nic"].truth


# %% alt="Loss a word against training steps: the RNN highest, Show and Tell lower, soft lowest."
def smooth(values, window=50):
    """Return the moving average."""
    return np.convolve(values, np.ones(window) / window, "valid")


figure, axes = plt.subplots(figsize=(7, 2.6))
for name, losses in learned.items():
    axes.plot(smooth(losses), label=name)
axes.set(xlabel="training step", ylabel="nats a word", ylim=(0.6, 2))
axes.legend()
plt.show()

# %% [markdown]
# ### Where it looks
#
# Now the picture that made attention famous: for each word, the place where the decoder looked.

# %% alt="A scene, and for each word of its caption the place where the captioner looked is lit."
found = said["soft"][example.image_id]
strip(draw(scene, 96), found.words, found.attention)

# %% alt="The same for another scene."
other = test[2]
found = said["soft"][other.image_id]
strip(draw(other.picture.scene, 96), found.words, found.attention)

# %% [markdown]
# Compare this with the first row of pictures in this lesson. Nobody told the network which region
# is a star. It learned to look at a star before it says "star", because that makes the right word
# more probable. And here is a caption that is wrong:

# %% alt="The same for a scene that is captioned wrongly."
wrong = next(
    i
    for i, (image, one) in enumerate(said["soft"].items())
    if len(scenes[image].things) == 2 and not is_true(one.text, scenes[image])
)
found = said["soft"][test[wrong].image_id]
strip(draw(test[wrong].picture.scene, 96), found.words, found.attention)

# %% [markdown]
# But one nice picture proves little, because one can always choose a nice picture. With scenes we
# can count. Each noun means some of the objects (`grounding`). Attention *points* if its largest
# weight lies on one of them (`points_at`). We compare with the `chance` that a random region does.

# %%
from cutline.data.scenes import chance, points_at

hits, by_chance, in_true, named = [], [], [], []
for image, caption in said["soft"].items():
    for t, things in grounding(caption.words, scenes[image]).items():
        hits.append(points_at(caption.attention[t], things, scenes[image]))
        by_chance.append(chance(things, scenes[image], 8, 8))
        in_true.append(is_true(caption.text, scenes[image]))
        named.append(len(things) > 0)  # else it names nothing that is there, and cannot point

print(
    f"{len(hits)} nouns; it points at {np.mean(hits):.2f} of them, by chance {np.mean(by_chance):.2f}"
)
hits, in_true, named = np.array(hits), np.array(in_true), np.array(named)
print(f"in captions that are true at {hits[in_true].mean():.2f}")
print(f"in false ones, of the nouns that do name something, at {hits[~in_true & named].mean():.2f}")
assert np.isclose(hits.mean(), results["soft"].pointing)
assert np.mean(hits) > 2 * np.mean(by_chance)

# %% [markdown]
# So attention can also warn: where it does not point at the object, the word is more often wrong.
#
# ### Greedy search, and beams
#
# So far we took the most probable word at each step: *greedy* search. But the most probable first
# word need not begin the most probable sentence. *Beam search* with width `K` keeps the `K` best
# beginnings, extends each of them by a word, and keeps the best `K` again. With width one it is
# greedy search. Here is what a wider beam finds for the scene with the wrong caption:

# %%
from cutline.captioner import Stepper
from cutline.search import Words, beam, greedy

backend = TorchBackend(Network(encoder, soft))
memory, state = backend.start(features(test_table[wrong : wrong + 1]))
stepper = Stepper(backend, memory, best=None)
rules = {"images": 1, "words": Words.of(vocabulary), "max_words": 20, "arrays": backend.arrays}
step_by_step = greedy(stepper, state, **rules)[0]
best = beam(stepper, state, width=10, n_best=5, **rules)[0]
narrow = beam(stepper, state, width=1, **rules)[0][0]
assert narrow.words == step_by_step.words

for name, one in [("greedy", step_by_step), *(("beam", each) for each in best)]:
    sentence = " ".join(vocabulary.words(one.words))
    judged = "true " if is_true(sentence, test[wrong].picture.scene) else "FALSE"
    print(f"{name:6}  log p {one.log_prob:6.2f}  {judged}  {sentence}")

# %% alt="Against the width of the beam: captions get likelier, and more of them are true."
widths = (1, 2, 5, 10)
beams = {width: answers(soft, beam=width) for width in widths}
truths = [score_scenes(captions, scenes).truth for captions in beams.values()]
log_probs = [np.mean([one.log_prob for one in captions.values()]) for captions in beams.values()]
lengths = [np.mean([len(one.words) for one in captions.values()]) for captions in beams.values()]

figure, panels = plt.subplots(1, 3, figsize=(8, 2.2))
for axes, values, title in zip(
    panels,
    (log_probs, lengths, truths),
    ("log-probability of a caption", "words in a caption", "share that is true"),
    strict=True,
):
    axes.plot(range(len(widths)), values, "o-")
    axes.set_xticks(range(len(widths)), widths)
    axes.set(title=title, xlabel="width of the beam")
figure.tight_layout()
plt.show()
assert log_probs[-1] > log_probs[0]

# %% [markdown]
# Wider beams find more probable captions. More probable captions also tend to be shorter and to
# state less, and a caption that states less is more often true. Keep this in mind when somebody
# compares two models with two different searches.

# %% [markdown]
# ## 7. Hard attention, and why it needs REINFORCE
#
# Soft attention looks at every region a little. Human eyes look at one place at a time. *Hard*
# attention draws one region at random, with the weights as probabilities, and uses this region
# alone:
#
# $$s_t \sim \mathrm{Multinoulli}(\alpha_t) \qquad z_t = a_{s_t}$$
#
# The obvious way to write this is to draw a region, to make a one-hot vector of it, and to
# multiply. It runs, and the loss falls, but attention learns nothing at all. We show this on a
# problem that is small enough to compute everything: one look at our scene, and one word to
# predict, "star".
#
# Let `e` (R,) be the scores of the 64 regions, at first as good as random. The *reward* for looking
# at region `i` is the log-probability of the right word, given this region. We take it from our
# CNN's own classifier, with a lower limit, so that the reward of a wrong region stays finite.

# %% alt="The scene, and beside it what each cell earns: cells of the star are bright."
with torch.no_grad():
    kinds = classify(test_table[16]).softmax(1)  # (R, 97)
    is_star = torch.tensor([False, *(shape == "star" for _, _, shape in KINDS)])
    earned = (0.98 * kinds[:, is_star].sum(1) + 0.02).log().double()  # log p("star" | i), (R,)

torch.manual_seed(0)
e = (0.5 * torch.randn(64, dtype=torch.float64)).requires_grad_()

figure, (left, right) = plt.subplots(1, 2, figsize=(5.2, 2.3))
left.imshow(picture)
left.set_axis_off()
shown = right.imshow(earned.view(8, 8))
right.set(xticks=[], yticks=[], title="log p(star | region)")
figure.colorbar(shown, ax=right)
plt.show()

# %% [markdown]
# First soft attention: the word is predicted from the *mean* region, and the scores get a gradient.
# Then hard attention, written in the obvious way:

# %%
values = kinds.double().requires_grad_()  # a region's vector: what the classifier says of it


def surprise(z):
    """Return -log p("star") for what was looked at, (97,)."""
    return -(0.98 * z[is_star].sum() + 0.02).log()


torch.manual_seed(1)
place = e.softmax(0).multinomial(1)[0]
one_hot = F.one_hot(place, 64).double()
for name, z in (("soft", e.softmax(0) @ values), ("one-hot", one_hot @ values)):
    by_e, by_regions = torch.autograd.grad(
        surprise(z), [e, values], allow_unused=True, materialize_grads=True
    )
    print(f"{name:8} gradient by e {by_e.norm():.4f}   by the regions {by_regions.norm():.4f}")
    assert by_regions.norm() > 0  # the network learns something, so nobody notices
    assert (by_e == 0).all() == (name == "one-hot")

# %% [markdown]
# The gradient is zero for all 64 regions. This must be so: if the scores change a little, the
# region that was drawn stays the same. No gradient can pass through a draw.
#
# ### The way out
#
# The draw itself does not depend smoothly on `e`, but the *probability* of each draw does. What we
# want to maximise is the mean reward over all draws,
#
# $$J = \sum_s p(s) \log p(y|s)$$
#
# and because $\nabla p = p\,\nabla \log p$, its gradient is also a mean over draws:
#
# $$\nabla J = \sum_s p(s) \left[\,\nabla \log p(y|s) + \log p(y|s)\,\nabla \log p(s)\,\right]$$
#
# So we draw a few times and average the bracket over the draws. The first term trains the words.
# The second, REINFORCE (Williams 1992), trains attention: a region with a large reward becomes more
# probable. The reward is only a number here, so no gradient needs to pass through it.
#
# With 64 regions we need not draw. We can compute the sum over all of them, each weighted by its
# probability, and compare the result with autograd's gradient of `J`:

# %%
from cutline.functional import multinoulli
from cutline.losses import moving_baseline, reinforce, sum_by_caption

everywhere = torch.arange(64)


def bracket(places, baseline=0.0):
    """Return the gradient by e that REINFORCE estimates from looks at these places, (R,)."""
    alphas = e.softmax(0).expand(len(places), 64)
    log_prob, entropy = multinoulli(alphas, places)
    loss = reinforce(earned[places], log_prob, entropy, baseline=baseline)
    return -torch.autograd.grad(loss, e)[0]  # losses are made small; J should become large


(exact,) = torch.autograd.grad((e.softmax(0) * earned).sum(), e)
p = e.softmax(0).detach()
expected = sum(p[i] * bracket(everywhere[i : i + 1]) for i in everywhere)
print(f"largest difference from the exact gradient {(expected - exact).abs().max():.0e}")
assert torch.allclose(expected, exact, atol=1e-12)

# %% [markdown]
# *On average* the estimate is exact. But the estimate from a single draw is very noisy. We can
# reduce the noise: subtract from the reward a *baseline* `b`, the usual reward:
#
# $$(\log p(y|s) - b)\,\nabla \log p(s)$$
#
# Since probabilities sum to one, $\sum_s p(s)\,\nabla \log p(s) = 0$: any `b` that does not depend
# on the draw leaves the mean unchanged. But now a region becomes more probable only if its reward
# was *larger than usual*. Below, the estimate says to look more at blue regions and less at red
# ones.

# %% alt="The exact gradient as a map, and estimates from 1, 100 and 1000 looks, with and without b."
usual = (p * earned).sum()
expected = sum(p[i] * bracket(everywhere[i : i + 1], usual) for i in everywhere)
assert torch.allclose(expected, exact, atol=1e-12)  # the mean has not moved

torch.manual_seed(3)
figure, grid = plt.subplots(2, 4, figsize=(7, 3.8))
span = 1.2 * exact.abs().max()
for row, (name, b0) in enumerate((("b = 0", 0.0), ("b = usual", usual))):
    for axes, looks in zip(grid[row], (0, 1, 100, 1000), strict=True):
        places = p.multinomial(looks, replacement=True) if looks else None
        estimate = bracket(places, b0) if looks else exact
        axes.imshow(estimate.view(8, 8), cmap="RdBu", vmin=-span, vmax=span)
        title = f"{looks} look{'s' * (looks > 1)}, {name}" if looks else "exact"
        axes.set(title=title, xticks=[], yticks=[])
figure.tight_layout()
plt.show()


# %% alt="Error of the estimate against the number of looks: it falls as 1 over the square root."
def error(looks, baseline, times=60):
    """Return the mean length of the estimate's error."""
    draws = p.multinomial(looks * times, replacement=True).split(looks)
    return np.mean([(bracket(places, baseline) - exact).norm().item() for places in draws])


torch.manual_seed(4)
counts = [1, 4, 16, 64, 256, 1024]
without = [error(looks, 0.0) for looks in counts]
with_b = [error(looks, usual) for looks in counts]

figure, axes = plt.subplots(figsize=(6, 2.8))
axes.loglog(counts, without, "o-", color="tab:red", label="b = 0")
axes.loglog(counts, with_b, "o-", color="tab:blue", label="b = what is usually earned")
axes.loglog(counts, without[0] / np.sqrt(counts), ":", color="black", label="1 / sqrt(looks)")
axes.axhline(exact.norm(), color="grey", lw=0.8)
axes.text(1, 0.72 * exact.norm(), "length of the exact gradient", color="grey")
axes.set(xlabel="looks that are averaged", ylabel="error of the estimate")
axes.legend()
plt.show()
fewer = (without[0] / with_b[0]) ** 2
print(f"variance of one look without a baseline: {fewer:.1f} times that with one")
assert without[-1] < without[0] / 10
assert with_b[0] < without[0]

# %% [markdown]
# The error falls with one over the square root of the number of draws, as with every mean: a
# hundred times the work for a tenth of the noise. The baseline costs nothing and saves many draws.
#
# Does it *learn* where to look? We follow the estimated gradient, with 8 draws at a time. Nobody
# tells it where the star is. It only receives the rewards of the regions that it happened to draw.

# %% alt="Six pictures: over 400 steps the light contracts from everywhere to the star."
torch.manual_seed(5)
start = e.detach().clone()
baseline, snapshots = torch.zeros((), dtype=torch.float64), []
for step in range(401):
    if step in (0, 20, 50, 100, 200, 400):
        snapshots.append((step, e.softmax(0).detach().view(8, 8).numpy().copy()))
    places = e.softmax(0).detach().multinomial(8, replacement=True)
    e.data += 0.3 * bracket(places, baseline)
    baseline = moving_baseline(baseline, earned[places])
strip(draw(scene, 96), [f"step {n}" for n, _ in snapshots], [look for _, look in snapshots])
earns = (e.softmax(0) * earned).sum().item()
print(f"probability of the right word: at first {usual.exp():.2f}, at last {np.exp(earns):.2f}")
assert earns > usual / 2
e.data = start

# %% [markdown]
# ### A captioner with hard attention
#
# Cutline's decoder `hard` is `soft` with draws. Its steps return the region, its log-probability
# and the entropy of the distribution; the loss is the function `reinforce`, with the paper's moving
# baseline. To reduce the noise further, the paper trains half of the captions with soft attention.
# We also start from the weights of our `soft`, except its gate.

# %%
from cutline.decoders import Hard


class Reinforced:
    """The objective of hard attention (Xu et al. 2015, section 4.1), with its moving baseline."""

    def __init__(self):
        self.baseline = torch.zeros(())

    def __call__(self, decoder, batch):
        """Return the loss, and what the words alone would be, for one word."""
        unrolled, log_probs = read_captions(decoder, batch)
        images, captions, steps = batch.words[:, :, 1:].shape
        add_up = partial(
            sum_by_caption, places=unrolled.places, captions=images * captions, steps=steps
        )
        log_likelihood = add_up(log_probs)
        loss = reinforce(
            log_likelihood,
            add_up(unrolled.location.log_prob),
            add_up(unrolled.location.entropy),
            baseline=self.baseline,
            entropy_weight=0.01,
        )
        self.baseline = moving_baseline(self.baseline, log_likelihood)
        return loss, -log_probs.mean().item()


torch.manual_seed(0)
hard = Hard(**small, attention=64)
gate = {"f_beta.weight", "f_beta.bias"}
hard.load_state_dict({k: v for k, v in soft.state_dict().items() if k not in gate})
learned["hard"] = teach(hard, epochs=2, objective=Reinforced(), rate=2e-3)
said["hard"] = answers(hard)
results["hard"] = score_scenes(said["hard"], scenes)
assert results["hard"].pointing > 2 * results["hard"].pointing_chance

# %% alt="For each word of a caption, the weights of hard attention: small bright spots."
for one in (example, other):
    found = said["hard"][one.image_id]
    strip(draw(one.picture.scene, 96), found.words, found.attention)


# %% alt="Bars: truth and pointing of nic, soft and hard; hard points more often than soft."
def compare(names):
    """Draw truth and pointing of some captioners side by side."""
    figure, axes = plt.subplots(figsize=(7, 2.4))
    for k, (label, colour) in enumerate((("truth", "tab:blue"), ("pointing", "tab:orange"))):
        values = [getattr(results[name], label) or 0 for name in names]
        bars = axes.bar(np.arange(len(names)) + 0.38 * k, values, 0.36, label=label, color=colour)
        axes.bar_label(bars, [f"{value:.2f}" if value else "" for value in values])
    floor = [results[name].pointing_chance or np.nan for name in names]
    place = np.arange(len(names)) + 0.38
    axes.hlines(floor, place - 0.18, place + 0.18, color="black", label="pointing by chance")
    axes.set_xticks(np.arange(len(names)) + 0.19, names)
    axes.set(ylim=(0, 1.25))
    axes.legend(loc="upper left", ncols=3)
    plt.show()


compare(["rnn", "nic", "soft", "hard"])

# %% [markdown]
# `hard` points more often than `soft`, because it sees only one region and must choose well. It is
# less often right, because draws make its training noisy, and we trained it for a short time only.
# (In the paper's own tables the two are close, and hard attention is a little ahead in BLEU.) The
# RNN and Show and Tell do not look, so there is nothing to score.
#
# *Try:* teach a `Hard` decoder with `reinforce_weight=0`. Its words still learn; where does it
# look?

# %% [markdown]
# ## 8. The sentinel: which words need no picture
#
# To say "of" after "a picture", nobody needs to look at the picture. Lu et al. (2017) let the
# captioner choose whether to look. There are two changes.
#
# *Look after reading.* `soft` computes attention from the old state, before it reads the word.
# Their `spatial` attention reads the word first and uses the new state. The context vector goes
# directly to the prediction and not into the LSTM: $p(y_t) = \mathrm{softmax}(W_p (c_t + h_t))$.
#
# *Or do not look.* Beside the regions there is one more vector to attend to: the *sentinel*, a
# gated copy of the LSTM's own memory. It competes with the regions in the same softmax, and its
# weight is $\beta_t$.
#
# $$s_t = \sigma(x_t W_x + h_{t-1} W_h) * \tanh(m_t) \qquad \hat\alpha_t = \mathrm{softmax}([z_t;\, w \cdot \tanh(s_t W_s + h_t W_g)])$$
#
# $$\beta_t = \hat\alpha_{t,R+1} \qquad \hat c_t = \beta_t s_t + (1 - \beta_t) c_t$$
#
# (This $\beta$ is not that of `soft`. Papers use few letters.) Where $\beta_t$ is near one, the
# word came from memory, for example because the grammar requires it. Here are the functions, on
# random vectors:

# %%
from cutline.functional import adaptive_attention, visual_sentinel

torch.manual_seed(0)
m_t, h_t, x_t = torch.randn(3, 1, 16)
noise = torch.randn(5, 16, 16)
s_t = visual_sentinel(x_t, h_t, m_t, noise[0], noise[1])
c_t, alpha, beta = adaptive_attention(
    h_t, s_t, torch.randn(1, 64, 16), torch.randn(1, 64, 16), noise[2], noise[3], noise[4, 0]
)
print(f"regions {alpha.sum():.3f} + sentinel {beta.item():.3f} = {(alpha.sum() + beta.sum()):.3f}")
assert torch.allclose(alpha.sum(1) + beta, torch.ones(1))

# %% [markdown]
# Cutline's decoders are `spatial` and `adaptive`; the second is the first with three matrices more.
# We train `spatial` for one epoch, and then copy its weights to `adaptive`. (`adaptive` can also be
# trained from random weights, but that may take long. The language is learned quickly, and while
# the regions are still of no use, it is better to use the sentinel. In our trials from random
# weights, with four epochs, about half had not yet learned to look at the picture.)

# %%
from cutline.decoders import Adaptive, Spatial

torch.manual_seed(0)
spatial = Spatial(**small, attention=64)
adaptive = Adaptive(**small, attention=64)
teach(spatial, epochs=1)
new = adaptive.load_state_dict(spatial.state_dict(), strict=False).missing_keys
print("new in adaptive:", ", ".join(new))
learned["adaptive"] = teach(adaptive, epochs=3)
said["adaptive"] = answers(adaptive)
results["adaptive"] = score_scenes(said["adaptive"], scenes)
print(f"adaptive: {results['adaptive'].truth:.2f} of its captions are true")

# %% [markdown]
# Below each picture is its $\beta$. The bright part shows where the rest of the attention went,
# even if this rest was small.

# %% alt="Two captions word by word; small words come from memory, nouns and colours from looking."
for one in (example, other):
    found = said["adaptive"][one.image_id]
    memory = [f"memory {beta:.2f}" for beta in found.sentinel]
    strip(draw(one.picture.scene, 96), found.words, found.attention, memory)

# %% alt="Beta as a curve under the words: high at a, of, and; low at colours and shapes."
longest = sorted(said["adaptive"].values(), key=lambda one: -len(one.words))[:2]
figure, panels = plt.subplots(2, 1, figsize=(9.5, 3.6))
for axes, one in zip(panels, longest, strict=True):
    axes.fill_between(range(len(one.words)), one.sentinel, alpha=0.3, color="tab:purple")
    axes.plot(one.sentinel, "o-", color="tab:purple")
    axes.set_xticks(range(len(one.words)), one.words)
    axes.set(ylim=(0, 1.05), ylabel="beta")
figure.tight_layout()
plt.show()

# %% [markdown]
# Now the mean over all 300 captions, word by word. Which words need the picture?

# %% alt="Mean beta of each word: and, of, a near one; colours and shapes far below."
betas = {}
for one in said["adaptive"].values():
    for word, beta in zip(one.words, one.sentinel, strict=True):
        betas.setdefault(word, []).append(float(beta))
ranked = sorted((np.mean(seen), word) for word, seen in betas.items() if len(seen) >= 15)
ink = {**dict.fromkeys(COLOURS, "tab:orange"), **dict.fromkeys(SHAPES, "tab:red")}
figure, axes = plt.subplots(figsize=(8, 2.6))
axes.bar(
    [word for _, word in ranked],
    [beta for beta, _ in ranked],
    color=[ink.get(word, "tab:grey") for _, word in ranked],
)
axes.tick_params(axis="x", rotation=60)
axes.set(ylabel="mean beta", title="shapes red, colours orange, other words grey")
plt.show()

by_word = {word: beta for beta, word in ranked}
seen_words = np.mean([by_word[word] for word in (*COLOURS, *SHAPES) if word in by_word])
small_words = np.mean([by_word[word] for word in ("a", "and", "of") if word in by_word])
print(f"mean beta of colours and shapes {seen_words:.2f}, of `a`, `and`, `of` {small_words:.2f}")
assert small_words > seen_words + 0.1

# %% [markdown]
# Nobody told the network about grammar. It learned by itself that "of" follows from the sentence
# and "star" from the picture, because this makes the captions more probable. The exceptions are
# interesting. Why does "orange" need the picture much less than the other colours? Because it is
# the only word that follows "an", and "an" has just been said. And why does "and" need the picture?
# Because the decoder must see whether there is a second object.

# %% [markdown]
# ## 9. What scores say, and what they do not
#
# For photographs there is no list of true facts, so captions are compared with captions that people
# wrote (*references*). BLEU counts which sequences of one to four words also occur in a reference.
# ROUGE-L looks for the longest common subsequence of words. CIDEr compares sequences of words and
# gives rare ones more weight. Cutline's scores equal those of the reference programs.

# %%
from cutline.metrics import score

references = {one.image_id: one.captions for one in test}
print(f"{'':18} BLEU-4  ROUGE-L  CIDEr  truth  pointing (chance)")
ciders = {}
said["adaptive, beam 5"] = answers(adaptive, beam=5)
for name, spoken in said.items():
    results[name] = score_scenes(spoken, scenes)
    scored = score({image: one.text for image, one in spoken.items()}, references)
    ciders[name] = scored.corpus["CIDEr"]
    points = results[name].pointing
    looks = f"{points:8.2f} ({results[name].pointing_chance:.2f})" if points else "       -"
    print(
        f"{name:18} {scored.corpus['BLEU-4']:6.3f}  {scored.corpus['ROUGE-L']:7.3f}"
        f"  {ciders[name]:5.2f}  {results[name].truth:5.2f}  {looks}"
    )
print(scored.signature)

# %% alt="CIDEr against truth, a point for each captioner: they rise together."
figure, axes = plt.subplots(figsize=(5, 3))
for name, cider in ciders.items():
    axes.plot(cider, results[name].truth, "o")
    side, shift = ("left", 6) if "beam" in name else ("right", -6)
    place = (cider, results[name].truth)
    axes.annotate(name, place, (shift, -3), textcoords="offset points", ha=side)
axes.set(xlabel="CIDEr", ylabel="truth", ylim=(0, 1.05), xlim=(min(ciders.values()) - 0.3, 4))
plt.show()

# %% [markdown]
# From model to model, the scores rise together with truth. So they are useful. Now look at single
# captions. We take the first true caption of each scene and score it against the other four. Then
# we change one word: we replace its first colour by another.


# %%
def lie(caption):
    """Return the caption with its first colour replaced by another, or None without a colour."""
    words = caption.split()
    at = next((t for t, word in enumerate(words) if word in COLOURS), None)
    if at is None or "an" in words[:at][-1:] or words[at] == "orange":
        return None  # so that "a" and "an" stay right
    words[at] = "white" if words[at] != "white" else "black"
    return " ".join(words)


lies = {one.image_id: lie(one.captions[0]) for one in test}
lies = {image: text for image, text in lies.items() if text and not is_true(text, scenes[image])}
rest = {image: references[image][1:] for image in lies}
spoken = {
    "the writer": {image: references[image][0] for image in lies},
    "a colour wrong": lies,
    "adaptive": {image: said["adaptive"][image].text for image in lies},
    "nic": {image: said["nic"][image].text for image in lies},
}
by_speaker = {name: score(texts, rest) for name, texts in spoken.items()}
print(f"{len(lies)} scenes      BLEU-4  ROUGE-L  CIDEr  truth")
for name, texts in spoken.items():
    corpus = by_speaker[name].corpus
    share = np.mean([is_true(text, scenes[image]) for image, text in texts.items()])
    print(
        f"{name:15} {corpus['BLEU-4']:6.3f}  {corpus['ROUGE-L']:7.3f}"
        f"  {corpus['CIDEr']:5.2f}  {share:5.2f}"
    )

true_rows, nic_rows = by_speaker["the writer"].per_image, by_speaker["nic"].per_image
false = [image for image, text in spoken["nic"].items() if not is_true(text, scenes[image])]
above = np.mean([nic_rows[image]["CIDEr"] > true_rows[image]["CIDEr"] for image in false])
print(
    f"of nic's {len(false)} false captions, {above:.2f} score above the writer's true one in CIDEr"
)

# %% [markdown]
# Three things to remember:
#
# - *A score compares words.* A caption with one wrong colour is false for everybody who relies on
#   it, but it still keeps half of its score.
# - *The most common wording wins.* The true captions are always right, but they score below our
#   captioner, which is not always right. It says what most people would say, and so it agrees with
#   most references.
# - *A mean says little about one caption.* From captioner to captioner, scores and truth rise
#   together. But of two single captions, the false one may well score above the true one.
#
# So read captions, not only scores. Where the truth is known, measure it. And write down how a
# score was made: the signature under the table does this.
#
# ## Where to go next
#
# - `make demo` trains `soft` together with its CNN from random weights, in five minutes, from
#   captions alone: nobody tells it what is in a cell. It reaches a truth of 0.94.
# - [Train](train.md) one on photographs, and let it [caption and explain](caption.md) your own.
# - [Scores](scores.md) and [scenes](scenes.md) explain how everything here was measured.
# - Read the captioners' code in `src/cutline/decoders`: one file for each, of about a hundred
#   lines. You know its equations now. `tests/decoders/test_reinforce.py` does section 7 for whole
#   captions.
#
# And the papers, which are a pleasure:
#
# - Elman 1990, *Finding structure in time*; Werbos 1990, *Backpropagation through time: what it
#   does and how to do it*
# - Hochreiter & Schmidhuber 1997, *Long short-term memory*
# - Karpathy & Li 2015, *Deep visual-semantic alignments for generating image descriptions* (arXiv
#   1412.2306)
# - Vinyals et al. 2015, *Show and Tell* (arXiv 1411.4555)
# - Luong et al. 2015, *Effective approaches to attention-based neural machine translation* (arXiv
#   1508.04025)
# - Xu et al. 2015, *Show, Attend and Tell* (arXiv 1502.03044)
# - Williams 1992, *Simple statistical gradient-following algorithms for connectionist reinforcement
#   learning*
# - Lu et al. 2017, *Knowing when to look* (arXiv 1612.01887)
