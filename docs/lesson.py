# %% [markdown]
# # The lesson
#
# A captioner is a network that looks at a picture and writes a sentence about it. This lesson
# builds one step by step. It begins with the smallest part, a network that reads one word after the
# other. Then it adds memory, attention, hard attention, and at last the choice not to look at the
# picture. There are ten steps:
#
# | | |
# |---|---|
# | 1 | a scene, its captions, and where things are |
# | 2 | what a CNN's grid is |
# | 3 | affine maps, the plain RNN, its backward pass by hand, why it forgets, and packing |
# | 4 | the LSTM, and why it remembers |
# | 5 | Show and Tell: the picture is read once |
# | 6 | attention: look before each word |
# | 7 | hard attention: one place only, the lower bound, and why that needs REINFORCE |
# | 8 | the sentinel: which words need no picture |
# | 9 | what scores say, and what they do not; BLEU by hand |
# | 10 | learning from its own words: scheduled sampling and self-critical training |
#
# You need to know Python and a little PyTorch. You need no graphics card, no download and no
# photograph, because the pictures are drawn. Everything runs in under ten minutes on two cores, and
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

# %% alt="A scene, and the same scene with a box around each of its two shapes."
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
assert [thing.shape for thing in scene.things] == ["star", "triangle"]

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
# ### What an affine map is
#
# Most parts of a captioner are *affine maps*:
#
# $$y = x W + b$$
#
# Each number of `y` is a weighted sum of the numbers of `x`, plus a constant. The weights `W` and
# the constants `b` are learned. Where `b` is zero the map is called *linear*. (PyTorch's
# `nn.Linear` is affine, in spite of its name, and so is a 1x1 convolution of a grid: the same map
# for each region.) With two numbers in and two numbers out, we can draw what it does:

# %% alt="A star on a square grid, and after an affine map: moved, turned and slanted."
star = np.array(
    [[r * np.sin(k * np.pi / 5), r * np.cos(k * np.pi / 5)] for k, r in enumerate(5 * [1, 0.4])]
)
W, shift = np.array([[0.9, 0.4], [-0.5, 0.8]]), np.array([1.5, 0.5])


def affine(points):
    """Map points (..., 2) to points (..., 2)."""
    return points @ W + shift


figure, panels = plt.subplots(1, 2, figsize=(6, 2.9), sharex=True, sharey=True)
for axes, change, title in zip(panels, (lambda x: x, affine), ("x", "y = x W + b"), strict=True):
    for at in np.linspace(-1, 1, 5):
        for line in ([[at, -1], [at, 1]], [[-1, at], [1, at]]):
            axes.plot(*change(np.array(line)).T, color="lightgrey", lw=0.8)
    axes.fill(*change(star).T, color="gold")
    axes.plot(*change(np.zeros(2)), "o", color="tab:red")
    axes.set(title=title, aspect="equal", xlim=(-1.6, 3.2), ylim=(-1.6, 2.1))
plt.show()

weights = np.random.default_rng(0).dirichlet(np.ones(len(star)))  # not negative, and their sum is 1
assert np.allclose(affine(weights @ star), weights @ affine(star))
assert not np.allclose(np.tanh(weights @ star), weights @ np.tanh(star))

# %% [markdown]
# The star is turned, slanted, and moved: the red point was the origin, and `b` says where it goes.
# Straight lines stay straight, and parallel lines stay parallel. The first `assert` shows what we
# need later: *the map of a weighted mean is the weighted mean of the maps*, if the weights sum to
# one. And an affine map of an affine map is again an affine map. So a network of these alone would
# be a single one, however many layers it has. What makes it more is what stands between them, such
# as a `tanh`. The second `assert` says that a `tanh` does not have this property.
#
# ### A step
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


# %% alt="Gradient by each word, logarithmic: it fades by 14 orders, fades slowly, or grows."
def plot_felt(lines):
    """Plot how strongly the last word's loss feels the words before it."""
    figure, axes = plt.subplots(figsize=(7, 3))
    for name, felt, colour in lines:
        axes.semilogy(np.arange(T) - T + 1, felt / felt[-1], label=name, color=colour)
    axes.set(xlabel="words before the last", ylabel="gradient, the last word's = 1")
    axes.grid(alpha=0.3)
    axes.legend()
    plt.show()


plain, larger, too_large = felt_by_the_rnn(1), felt_by_the_rnn(2.5), felt_by_the_rnn(5)
plot_felt(
    [
        ("RNN, weights as drawn", plain, "tab:red"),
        ("RNN, Wh two and a half times as large", larger, "tab:orange"),
        ("RNN, Wh five times as large", too_large, "tab:brown"),
    ]
)
assert plain[-41] < 1e-12 * plain[-1]  # forty words back
assert 1e-3 < larger[-41] / larger[-1] < 0.1
assert too_large[-41] > 1e3 * too_large[-1]

# %% [markdown]
# With the usual random weights, the gradient of a word forty places back is more than a million
# million times smaller than that of the last word. Something so small is never learned. Larger
# weights are no solution. At two and a half times their size the gradient fades slowly, at five
# times it explodes, and nothing keeps the weights between the two while they are learned.
#
# ### Captions end at different words: packing
#
# The captions of a batch differ in length, but a tensor is a rectangle. So short captions are
# filled up with `<pad>`, and to compute steps of `<pad>` is a waste. *Packing* leaves them out.
# Sort the captions by length, the longest first. Then the captions that still have a word at step
# `t` are the first rows, and it is enough to know how many they are.

# %% alt="Five captions of 6, 5, 4, 2 and 1 words, and below them their words, step after step."
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

batch = [
    "a star below a green triangle",
    "a star and a triangle",
    "a small yellow star",
    "two shapes",
    "star",
]
coded = [torch.tensor(vocabulary.encode(sentence)[1:-1]) for sentence in batch]
lengths = torch.tensor([len(row) for row in coded])
padded = nn.utils.rnn.pad_sequence(coded, batch_first=True, padding_value=vocabulary.pad)
packed = pack_padded_sequence(padded, lengths, batch_first=True)
print("lengths    ", lengths.tolist())
print("batch sizes", packed.batch_sizes.tolist())
print("data       ", " ".join(vocabulary.words(packed.data.tolist())))
assert packed.batch_sizes.tolist() == [5, 4, 3, 3, 2, 1]
columns = [padded[:size, t] for t, size in enumerate(packed.batch_sizes)]
assert packed.data.tolist() == torch.cat(columns).tolist()

figure, (top, below) = plt.subplots(2, 1, figsize=(9, 4.4), height_ratios=(5, 2.6))


def box(axes, x, y, word, colour, turn=0):
    """Draw a word in a box."""
    axes.add_patch(plt.Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white"))
    axes.text(x + 0.5, y + 0.5, word, ha="center", va="center", rotation=turn)


shades = ["lightblue", "navajowhite", "palegreen", "pink", "khaki"]
at = 0
for t, size in enumerate(packed.batch_sizes.tolist()):
    for row in range(len(batch)):
        word = vocabulary.words([int(padded[row, t])])[0]
        box(top, t, row, word, shades[row] if row < size else "whitesmoke")
        if row < size:
            box(below, at + row, 0, word, shades[row], turn=90)
    below.text(at + size / 2, -0.08, size, ha="center", va="bottom", weight="bold")
    at += size
    below.axvline(at, color="black", lw=1)
top.set(xlim=(0, 6), ylim=(5, 0), xticks=np.arange(6) + 0.5, yticks=[], title="padded: 30 places")
top.set_xticklabels([f"step {t + 1}" for t in range(6)])
below.set(xlim=(0, at), ylim=(1, -0.35), xticks=[], yticks=[])
below.set(title="packed: 18 places, and the batch size of each step")
figure.tight_layout()
plt.show()

torch.manual_seed(0)
reader = nn.RNN(E, H, batch_first=True)
vectors = embedding.float()
states, _ = pad_packed_sequence(reader(packed._replace(data=vectors[packed.data]))[0], True)
for row, numbers_read in enumerate(coded):  # as if each caption were read alone
    alone, _ = reader(vectors[numbers_read].unsqueeze(0))
    assert torch.allclose(states[row, : lengths[row]], alone[0], atol=1e-6)

# %% [markdown]
# The batch sizes 5, 4, 3, 3, 2, 1 say: five captions have a first word, four have a second one,
# three a third and a fourth, two a fifth, and one a sixth. Their sum is 18, the number of words;
# the rectangle has 30 places, so packing saves two fifths of the work here. The packed data are the
# columns of the table, one after the other, without the `<pad>`: at each step the RNN takes the
# next `batch_sizes[t]` words and the first `batch_sizes[t]` states. The last lines check that
# nothing else changes. The function `unroll` that we use below does this for us.
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
assert sound > 0.9

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
assert (kept[:-1] > 0.1 * kept[-1]).all()

# %% [markdown]
# With an open gate the line is flat: the gradient of a word forty places back is nearly as large as
# that of a word two places back. Does it matter? A test: read a colour, then 29 other words, then
# predict the colour. A network whose gradient vanishes before the first word cannot learn this.


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
# Over all 300 scenes this is better than the RNN, though six pictures hardly show it. Which errors
# are left? We count how many of its false captions name only colours and shapes that the picture
# really has.


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
# Let us try queries that we understand. We take a region of the star, and then one of the triangle,
# as the query, and see which regions are similar to it.

# %% alt="Asked with a region of the star, the weights light the star; likewise the triangle."
from cutline.functional import dot_product_attention

regions = test_table[16] - train_table.mean((0, 1))  # (R, D), without what all regions share
A = regions.T.reshape(1, 64, 8, 8)  # (B, H, h, w)
asking = [int(mask.mean((1, 3)).argmax()) for mask in scene.masks(64).reshape(-1, 8, 8, 8, 8)]
context, M = dot_product_attention(regions[asking], A)  # two questions to one picture
assert torch.allclose(M.sum((1, 2)), torch.ones(len(asking)))
for look, shown in zip(M, scene.masks(64).reshape(-1, 8, 8, 8, 8).mean((2, 4)), strict=True):
    assert shown.flatten()[look.argmax()] > 0.3  # the largest weight lies on the object
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
at_last = {name: np.mean(losses[-100:]) for name, losses in learned.items()}
assert at_last["soft"] < at_last["nic"] < at_last["rnn"]

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
# is a star. It learned to look at a thing before it names it, because that makes the right word
# more probable. (Before a word like "and" it has nothing to look for, and the light is spread out.)
# And here is a caption that is wrong:

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
assert hits[in_true].mean() > hits[~in_true & named].mean()

# %% [markdown]
# So attention can also warn: where it does not point at the object, the word is more often wrong.
#
# ### Greedy search, and beams
#
# So far we took the most probable word at each step: *greedy* search. But the most probable first
# word need not begin the most probable sentence. *Beam search* with width `K` keeps the `K` best
# beginnings, extends each of them by a word, and keeps the best `K` again. With width one it is
# greedy search.
#
# An example that one can compute by hand. A language has two first words, "a" (probability 0.6) and
# "two" (0.4). After "a" comes "star" (0.4), "heart" (0.35) or "cross" (0.25). After "two" comes
# "stars" (0.9) or "hearts" (0.1). Then a caption ends.

# %% alt="A tree: greedy search ends at a star, 0.24; a beam of two also finds two stars, 0.36."
from cutline.search import Scored, Words, beam, greedy

after = {
    "<start>": {"a": 0.6, "two": 0.4},
    "a": {"star": 0.4, "heart": 0.35, "cross": 0.25},
    "two": {"stars": 0.9, "hearts": 0.1},
}
spelled = ["<pad>", "<start>", "<end>", "<unk>", "a", "two"]
spelled += [word for beginning in ("a", "two") for word in after[beginning]]
likely = np.zeros((len(spelled), len(spelled)))  # row: the word that is read, column: the next one
for word in range(len(spelled)):
    for following, probability in after.get(spelled[word], {"<end>": 1.0}).items():
        likely[word, spelled.index(following)] = probability


def tiny(words, state):
    """Score the next words by the last one; its state is empty."""
    with np.errstate(divide="ignore"):
        return Scored(np.log(likely[words]), state)


tiny_rules = {"images": 1, "words": Words(1, 2, np.array([0, 1, 3])), "max_words": 4}
nothing = (np.zeros((1, 1)),)
(by_greedy,) = greedy(tiny, nothing, **tiny_rules)
(by_beam,) = beam(tiny, nothing, width=2, n_best=2, **tiny_rules)
for name, one in [("greedy", by_greedy), *(("beam of 2", each) for each in by_beam)]:
    print(f"{name:9}  {np.exp(one.log_prob):.2f}  {' '.join(spelled[word] for word in one.words)}")
assert np.isclose(np.exp(by_greedy.log_prob), 0.6 * 0.4)
assert np.isclose(np.exp(by_beam[0].log_prob), 0.4 * 0.9)

figure, axes = plt.subplots(figsize=(6, 2.4))
row = 0
for k, (beginning, p_first) in enumerate(after["<start>"].items()):
    middle = row + (len(after[beginning]) - 1) / 2
    path = "tab:red" if beginning == "a" else "tab:blue"
    axes.plot([0, 1], [2, middle], color=path)
    axes.text(1, middle - 0.2, f"{beginning} {p_first}", ha="center", va="bottom")
    for following, p_next in after[beginning].items():
        best_here = p_next == max(after[beginning].values())
        axes.plot([1, 2], [middle, row], color=path if best_here else "lightgrey")
        total = f"{p_first} x {p_next} = {p_first * p_next:.2f}"
        axes.text(2.03, row, f"{beginning} {following}: {total}", va="center")
        row += 1
axes.text(0, 1.8, "<start>", ha="center", va="bottom")
axes.set(xlim=(-0.2, 3.5), ylim=(4.6, -0.7), title="red: greedy; blue: found by a beam of two only")
axes.set_axis_off()
plt.show()

# %% [markdown]
# Greedy search takes "a", because 0.6 is more than 0.4, and then the best that can follow is "a
# star": 0.24. A beam of two also keeps "two", and "two stars" has 0.36.
#
# Now the same with our captioner: the five best captions that a beam of ten finds for the scene
# with the wrong caption. (The logarithm of a product is a sum, so programs add log-probabilities.)

# %%
from cutline.captioner import Stepper

backend = TorchBackend(Network(encoder, soft))
memory, state = backend.start(features(test_table[wrong : wrong + 1]))
stepper = Stepper(backend, memory, best=None)
rules = {"images": 1, "words": Words.of(vocabulary), "max_words": 20, "arrays": backend.arrays}
step_by_step = greedy(stepper, state, **rules)[0]
best = beam(stepper, state, width=10, n_best=5, **rules)[0]
narrow = beam(stepper, state, width=1, **rules)[0][0]
assert narrow.words == step_by_step.words
assert best[0].log_prob >= step_by_step.log_prob - 1e-4

for name, one in [("greedy", step_by_step), *(("beam", each) for each in best)]:
    sentence = " ".join(vocabulary.words(one.words))
    judged = "true " if is_true(sentence, test[wrong].picture.scene) else "FALSE"
    print(f"{name:6}  log p {one.log_prob:6.2f}  {judged}  {sentence}")

# %% alt="Against the width of the beam: captions get likelier and shorter, and more of them true."
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
assert log_probs == sorted(log_probs)
assert lengths[-1] < lengths[0]
assert truths[2] > truths[0]

# %% [markdown]
# Wider beams find more probable captions. More probable captions also tend to be shorter and to
# state less, and a caption that states less is more often true. (Only up to a point: from a width
# of 5 to one of 10, captions become shorter still, but hardly truer.) Keep this in mind when
# somebody compares two models with two different searches.

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
# ### The lower bound
#
# What should be maximised? The probability of the word, wherever one looks, is a sum over all
# looks: $p(y) = \sum_s p(s)\,p(y|s)$. For one look that is easy. But a caption of ten words has ten
# looks, and there are $64^{10}$ ways to choose them; one cannot try them all. One can draw some.
# But the logarithm of a mean of a few draws is, on average, not the logarithm of the mean. So Xu et
# al. (2015, equation 10) maximise a *lower bound*, in which the logarithm stands inside the sum:
#
# $$L_s = \sum_s p(s) \log p(y|s) \;\le\; \log \sum_s p(s)\,p(y|s) = \log p(y)$$
#
# It holds because a logarithm bends downwards: the mean of logarithms is never more than the
# logarithm of the mean (Jensen's inequality). And $L_s$ is itself a mean, so a mean over draws
# estimates it. How much is lost?

# %% alt="The lower bound stays below log p of the word, and meets it where attention is sharp."
sharpness = np.linspace(0, 4, 41)
bounds, truly = [], []
for sharp in sharpness:
    look = (sharp * earned).softmax(0)  # 0: all regions alike; large: only the best one
    bounds.append((look * earned).sum().item())
    truly.append((look * earned.exp()).sum().log().item())
figure, axes = plt.subplots(figsize=(6, 2.4))
axes.plot(sharpness, truly, color="tab:blue", label="log p(y)")
axes.plot(sharpness, bounds, color="tab:red", label="lower bound L_s")
axes.set(xlabel="how sharp the attention is", ylabel="nats")
axes.legend()
plt.show()
print(f"all regions alike: L_s {bounds[0]:.2f}, log p {truly[0]:.2f}")
print(f"sharp:             L_s {bounds[-1]:.2f}, log p {truly[-1]:.2f}")
assert all(low <= high + 1e-12 for low, high in zip(bounds, truly, strict=True))
assert truly[0] - bounds[0] > 0.5 > 20 * (truly[-1] - bounds[-1])

# %% [markdown]
# The two meet where every region that has a probability says the same. So to maximise the bound
# also means: choose.
#
# ### The way out
#
# The draw itself does not depend smoothly on `e`, but the *probability* of each draw does. What we
# maximise is the mean reward over all draws, which is the lower bound,
#
# $$J = L_s = \sum_s p(s) \log p(y|s)$$
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
# ### Two looks, all nine of them
#
# A caption has more than one look, and where one looks may depend on where one looked before. The
# smallest such example: two words, "star" and "triangle", and three regions: one of the star, one
# of the triangle, and one of the background. That makes nine ways to look. We weigh all nine, and
# autograd differentiates the sum: this is the exact gradient of $L_s$. Beside it stand two
# estimates from 200,000 draws: REINFORCE, and a one-hot vector made in another popular way, by
# comparing a uniform random number with the cumulated weights.

# %%
three = torch.tensor([asking[0], asking[1], 0])
is_triangle = torch.tensor([False, *(shape == "triangle" for _, _, shape in KINDS)])
says = torch.stack([kinds[three][:, which].sum(1) for which in (is_star, is_triangle)], 1)
says = 0.98 * says.double() + 0.02  # (3, 2): p("star" | region), p("triangle" | region)

torch.manual_seed(0)
scores = torch.randn(4, 3, dtype=torch.float64).requires_grad_()
# row 0 scores the first look; rows 1 to 3 the second one, after each first one


def looks_of(pairs):
    """Return log p(s) of pairs of looks (S, 2), and log p(y|s), (S,) each."""
    log_p = scores.log_softmax(1)
    first, second = pairs.T
    return log_p[0, first] + log_p[1 + first, second], says[first, 0].log() + says[second, 1].log()


every = torch.cartesian_prod(torch.arange(3), torch.arange(3))
log_p, log_y = looks_of(every)
names = ("star", "triangle", "background")
for (first, second), p_s, reward in zip(every.tolist(), log_p.exp(), log_y, strict=True):
    print(f"{names[first]:10} then {names[second]:10}  p(s) {p_s:.3f}  log p(y|s) {reward:6.2f}")
L_s, log_p_y = (log_p.exp() * log_y).sum(), (log_p + log_y).logsumexp(0)
print(f"L_s {L_s:.3f} <= log p(y) {log_p_y:.3f}")
assert torch.isclose(log_p.exp().sum(), torch.ones((), dtype=torch.float64)) and L_s < log_p_y
(enumerated,) = torch.autograd.grad(L_s, scores)

# %%
drawn_pairs = every[log_p.detach().exp().multinomial(200_000, replacement=True)]
log_prob, reward = looks_of(drawn_pairs)
loss = reinforce(reward, log_prob, torch.zeros_like(reward), baseline=L_s.item())
by_draws = -torch.autograd.grad(loss, scores)[0]

uniform = torch.rand(200_000, 2, dtype=torch.float64)
seen = says.clone().requires_grad_()  # so that the loss has a gradient at all
where, chance_of = torch.zeros(200_000, dtype=torch.long), []
for t in range(2):
    weights = scores.softmax(1)[1 + where if t else where]
    upto = weights.cumsum(1)
    upto = torch.cat([upto[:, :-1], torch.full_like(upto[:, -1:], 2.0)], 1)  # not 0.999...
    one_hot = (uniform[:, t : t + 1] < upto).double().diff(dim=1, prepend=torch.zeros(200_000, 1))
    chance_of.append(one_hot @ seen[:, t])
    where = one_hot.argmax(1)
by_uniform, by_seen = torch.autograd.grad(
    torch.stack(chance_of).log().sum(0).mean(),
    [scores, seen],
    allow_unused=True,
    materialize_grads=True,
)
print("by the scores of the first look     exact  REINFORCE  one-hot by uniform")
for k, name in enumerate(names):
    row = f"{enumerated[0, k]:12.4f}  {by_draws[0, k]:9.4f}  {by_uniform[0, k]:18.4f}"
    print(f"{name:28} {row}")
lengths_of = [each.norm().item() for each in (enumerated, by_draws, by_uniform)]
print("length of all twelve numbers ", "  ".join(f"{length:.4f}" for length in lengths_of))
assert (by_draws - enumerated).norm() < 0.05 * enumerated.norm()
assert (by_uniform == 0).all() and by_seen.norm() > 0

# %% [markdown]
# With draws enough, REINFORCE comes close to the exact gradient. The one-hot vector draws the same
# regions with the same probabilities, and the regions get a gradient, so a network trained in this
# way learns to speak. But its attention stays what it was at the beginning, whatever the number of
# draws. A comparison has no slope.
#
# ### Less noise
#
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

# %% alt="Six pictures: within 50 steps the light contracts from everywhere to the star, and stays."
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
on_star = [look[earned.view(8, 8).numpy() > -1].sum() for _, look in snapshots]
assert on_star[0] < 0.1 and min(on_star[3:]) > 0.9
e.data = start

# %% [markdown]
# ### Soft attention as an approximation
#
# Hard attention predicts from one region at a time, so its prediction is, over all draws, a mean of
# softmaxes: $E[\mathrm{softmax}(n_s)]$, with the scores $n_s$ of region $s$. Soft attention takes
# the mean first, and one softmax of it. What has the one to do with the other? Take the *geometric*
# mean of the probabilities in place of the arithmetic one, weighted by the attention, and divide by
# its sum, so that it is a distribution. This is the *normalised weighted geometric mean* (NWGM):
#
# $$\mathrm{NWGM}_k = \frac{\prod_s p_{sk}^{\alpha_s}}{\sum_j \prod_s p_{sj}^{\alpha_s}} =
# \frac{\exp \sum_s \alpha_s n_{sk}}{\sum_j \exp \sum_s \alpha_s n_{sj}} =
# \mathrm{softmax}\Big(\sum_s \alpha_s n_s\Big)_k$$
#
# And if the scores are an affine map of the region, the mean of the scores is the score of the mean
# (section 3). So *the softmax of the mean region is exactly the NWGM*. Xu et al. (2015, section
# 4.2) use it as an approximation of the mean of softmaxes. How good is it? We ask our classifier,
# which is affine, with attention that becomes sharper and sharper.

# %% alt="p of star: mean of softmaxes and softmax of the mean differ, and agree when sharp."
from matplotlib.ticker import PercentFormatter

grid_scores = classify(test_table[16]).detach().double()  # (R, 97), one softmax for each region
arithmetic, geometric = [], []
for sharp in sharpness:
    look = (sharp * earned).softmax(0)
    arithmetic.append((look @ grid_scores.softmax(1))[is_star].sum().item())
    mean_region = look.float() @ test_table[16]
    one_softmax = classify(mean_region).softmax(0).detach().double()
    powers = (look.unsqueeze(1) * grid_scores.log_softmax(1)).sum(0).exp()
    assert torch.allclose(powers / powers.sum(), one_softmax, atol=1e-4)  # it is the NWGM
    geometric.append(one_softmax[is_star].sum().item())

figure, axes = plt.subplots(figsize=(6, 2.4))
axes.plot(sharpness, arithmetic, color="tab:blue", label="E[softmax], hard attention")
axes.plot(sharpness, geometric, color="tab:red", label="softmax of E = NWGM, soft attention")
axes.yaxis.set_major_formatter(PercentFormatter(1))
axes.set(xlabel="how sharp the attention is", ylabel="p(star)")
axes.legend()
plt.show()
gap = np.abs(np.subtract(arithmetic, geometric))
print(f"largest difference {gap.max():.2f}, with sharp attention {gap[-1]:.3f}")
assert gap.max() > 0.1 > 10 * gap[-1]

# %% [markdown]
# The two agree where attention is sharp, and can be far apart where it is spread out. (In a whole
# captioner the region also goes through an LSTM, which is not affine; there the paper adds a
# first-order approximation.) So soft attention is a cheap stand-in for hard attention, without
# noise, and better the surer attention is.
#
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

# %% [markdown]
# Two scenes that it captions rightly:


# %% alt="Two captions of hard attention: a small bright spot at the shapes, more spread out at and."
def well_captioned(name):
    """Return the first two scenes of two things that a captioner describes truly by both."""
    return [
        one
        for one in test
        if len(one.picture.scene.things) == 2
        and "and" in said[name][one.image_id].words[1:]
        and said[name][one.image_id].words[0] in ("a", "an")
        and is_true(said[name][one.image_id].text, one.picture.scene)
    ][:2]


for one in well_captioned("hard"):
    found = said["hard"][one.image_id]
    strip(draw(one.picture.scene, 96), found.words, found.attention)

sure = {"and": [], "shape": []}
for one in said["hard"].values():
    for word, look in zip(one.words, one.attention, strict=True):
        if word == "and" or word in SHAPES:
            sure["and" if word == "and" else "shape"].append(look.max())
for name, values in sure.items():
    print(f"mean largest weight at {name:5} {np.mean(values):.2f}")
assert np.mean(sure["shape"]) > np.mean(sure["and"])


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
assert results["hard"].pointing > results["soft"].pointing
assert results["hard"].truth < results["soft"].truth + 0.05

# %% [markdown]
# `hard` points more often than `soft`, because it sees only one region and must choose well. It is
# not more often right, because draws make its training noisy, and we trained it for a short time
# only.
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
# Again two scenes that it captions rightly. Below each picture is its $\beta$. The bright part
# shows where the rest of the attention went, even if this rest was small.

# %% alt="Two captions word by word: memory near 0 at shapes, high at of and at the a after and."
for one in well_captioned("adaptive"):
    found = said["adaptive"][one.image_id]
    memory = [f"memory {beta:.2f}" for beta in found.sentinel]
    strip(draw(one.picture.scene, 96), found.words, found.attention, memory)

# %% alt="Beta as a curve under two long captions: high at of, near zero at the shapes."
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

# %% alt="Mean beta of each word: shapes near zero, colours low, a and and between, of highest."
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
assert by_word["of"] > 0.7 and np.mean([by_word[word] for word in SHAPES]) < 0.1

split = {"the first word, a": [], "a after and": [], "and after with": [], "another and": []}
for one in said["adaptive"].values():
    for t, (word, beta) in enumerate(zip(one.words, one.sentinel, strict=True)):
        if word == "a" and (t == 0 or one.words[t - 1] == "and"):
            split["a after and" if t else "the first word, a"].append(float(beta))
        if word == "and":
            kind = "and after with" if "with" in one.words[:t] else "another and"
            split[kind].append(float(beta))
for name, values in split.items():
    print(f"{name:18} mean beta {np.mean(values):.2f}, of {len(values)}")
other_colours = [by_word[word] for word in COLOURS if word != "orange" and word in by_word]
assert by_word["orange"] > np.mean(other_colours)
assert np.mean(split["a after and"]) > np.mean(split["the first word, a"])
assert np.mean(split["and after with"]) > np.mean(split["another and"])

# %% [markdown]
# Nobody told the network about grammar. It learned by itself that "of" follows from the sentence
# and "star" from the picture, because this makes the captions more probable. The words between are
# interesting. Why does "orange" need the picture less than the other colours? Because it is the
# only word that follows "an", and "an" has just been said. Why does the first "a" need the picture,
# and the "a" after "and" hardly? Because a caption can begin in several ways, but after "and" there
# is not much else. And "and"? After "a red star" the caption may end, so the decoder must see
# whether there is a second object. After "a picture of a red star with a blue heart" there is
# always an "and", and memory is enough.

# %% [markdown]
# ## 9. What scores say, and what they do not
#
# For photographs there is no list of true facts, so captions are compared with captions that people
# wrote (*references*). BLEU counts which sequences of one to four words also occur in a reference.
# ROUGE-L looks for the longest common subsequence of words. CIDEr compares sequences of words and
# gives rare ones more weight. Cutline's scores equal those of the reference programs.
#
# ### BLEU by hand
#
# BLEU has two parts (Papineni et al. 2002). The first is *precision*: how many of the candidate's
# n-grams (sequences of `n` words) occur in a reference? Each is counted at most as often as it
# occurs in one reference, so that "a a a a" does not score well. The second is the *brevity
# penalty*. Precision alone would like very short captions. With `c` words in the candidate and `r`
# in the reference whose length is closest,
#
# $$BP = \min(1, e^{1 - r/c}) \qquad \mathrm{BLEU\text{-}}N = BP \cdot (p_1 p_2 \dots p_N)^{1/N}$$
#
# We score one caption against the five of our scene:

# %%
from collections import Counter

from cutline.metrics import score


def ngrams(sentence, n):
    """Count the sequences of n words."""
    words = sentence.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu_by_hand(candidate, references, say=print):
    """Return BLEU-1 to BLEU-4 of one caption."""
    c = len(candidate.split())
    r = min((abs(len(one.split()) - c), len(one.split())) for one in references)[1]
    penalty = min(1, np.exp(1 - r / c))
    say(f"c = {c}, r = {r}, brevity penalty {penalty:.3f}")
    bleus, product = [], 1
    for n in range(1, 5):
        ours, theirs = ngrams(candidate, n), [ngrams(one, n) for one in references]
        right = sum(min(times, max(one[gram] for one in theirs)) for gram, times in ours.items())
        product *= right / ours.total()
        bleus.append(penalty * product ** (1 / n))
        say(f"p_{n} = {right}/{ours.total()}, BLEU-{n} = {bleus[-1]:.4f}")
    return bleus


for sentence in example.captions:
    print(f"{len(sentence.split()):2} words  {sentence}")
candidate = "a yellow star and a triangle"
print(f"\ncandidate: {candidate}")
by_hand = bleu_by_hand(candidate, example.captions)
library = score({"scene": candidate}, {"scene": example.captions}).corpus
assert np.allclose(by_hand, [library[f"BLEU-{n}"] for n in range(1, 5)], atol=1e-6)
print("\na a a a:")
clipped = bleu_by_hand("a a a a", example.captions)

# %% [markdown]
# Every word of the candidate is right, and so are most of its pairs, but it has one word less than
# the reference that is closest in length, and that alone takes 15%. BLEU-2 is the geometric mean of
# $p_1$ and $p_2$, not $p_2$ itself, and it is never larger than BLEU-1 where $p_2 \le p_1$. In "a a
# a a" only three of the four words count, because no reference has more than three. For a whole
# test set one adds up all counts and all lengths first and divides then. So BLEU of a set is not
# the mean of the BLEU of its captions.

# %% alt="The brevity penalty against c / r: it rises to 1 at equal lengths, and stays 1."
assert by_hand[0] > by_hand[1] > by_hand[3] and 0.14 < 1 - by_hand[0] < 0.16
assert np.isclose(clipped[0], np.exp(1 - 7 / 4) * 3 / 4)
ratios = np.linspace(0.2, 1.6, 200)
figure, axes = plt.subplots(figsize=(5, 2))
axes.plot(ratios, np.minimum(1, np.exp(1 - 1 / ratios)), color="tab:blue")
axes.plot(6 / 7, np.exp(1 - 7 / 6), "o", color="tab:red")
axes.annotate("ours, 6/7", (6 / 7, np.exp(1 - 7 / 6)), (8, -10), textcoords="offset points")
axes.set(xlabel="c / r", ylabel="brevity penalty", ylim=(0, 1.05))
plt.show()

# %% [markdown]
# ### Our captioners

# %%
references = {one.image_id: one.captions for one in test}
print(f"{'':18} BLEU-4  ROUGE-L  CIDEr  truth  pointing (chance)")
ciders, rouges = {}, {}
said["adaptive, beam 5"] = answers(adaptive, beam=5)
for name, spoken in said.items():
    results[name] = score_scenes(spoken, scenes)
    scored = score({image: one.text for image, one in spoken.items()}, references)
    ciders[name], rouges[name] = scored.corpus["CIDEr"], scored.corpus["ROUGE-L"]
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
agree = np.corrcoef(list(ciders.values()), [results[name].truth for name in ciders])[0, 1]
print(f"correlation of CIDEr and truth over {len(ciders)} captioners: {agree:.2f}")
assert agree > 0.9
assert rouges["soft"] > rouges["adaptive"] and results["soft"].truth < results["adaptive"].truth

# %% [markdown]
# From captioner to captioner, CIDEr rises together with truth. So it is useful. But see ROUGE-L:
# `soft` has more of it than `adaptive`, though fewer of its captions are true. Scores do not always
# agree, not even on averages. Now look at single captions. We take the first true caption of each
# scene and score it against the other four. Then we change one word: we replace its first colour by
# another.


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
writer, wrong_colour = by_speaker["the writer"].corpus, by_speaker["a colour wrong"].corpus
for name in ("CIDEr", "BLEU-4", "ROUGE-L"):
    print(f"{name}: a wrong colour keeps {wrong_colour[name] / writer[name]:.2f} of it")
assert 0.4 < wrong_colour["CIDEr"] / writer["CIDEr"] < 0.6
assert wrong_colour["ROUGE-L"] / writer["ROUGE-L"] > 0.75
for name in ("adaptive", "nic"):
    assert by_speaker[name].corpus["CIDEr"] > writer["CIDEr"]
assert above > 0.1

# %% [markdown]
# Three things to remember:
#
# - *A score compares words.* A caption with one wrong colour is false for everybody who relies on
#   it, but it still keeps half of its CIDEr, and four fifths of its ROUGE-L.
# - *The most common wording wins.* The writer's captions are always right, but they score below
#   those of our captioners, even those of `nic`, which is wrong in four of ten. A captioner says
#   what most people would say, and so it agrees with most references.
# - *A mean says little about one caption.* From captioner to captioner, CIDEr and truth rise
#   together. But of two single captions, the false one may well score above the true one.
#
# So read captions, not only scores. Where the truth is known, measure it. And write down how a
# score was made: the signature under the table does this.
#
# ## 10. Learning from its own words
#
# In training a captioner reads the true previous word. In captioning it reads its own, and after a
# wrong word it stands where it has never been. Two ways to train with its own words are in use.
#
# ### Scheduled sampling
#
# *Scheduled sampling* (Bengio et al. 2015) replaces some of the true words by words that the
# network draws from its own prediction. The objective stays the same, the log-probability of the
# true next words; only what is read changes. In a recipe it is one line, `scheduled_sampling:
# {start: 5, increase: 0.05, every: 5, maximum: 0.25}`; in Python it is an argument of `unroll`.
# Here is the loss of `soft` on one batch, the more of its own words it reads:

# %% alt="Loss a word against the share of own words: it rises from none to all."
batch_of = next(iter(loader))
special = Words.of(vocabulary)
wanted = batch_of.words[:, :, 1:].reshape(-1)
shares, by_share = (0.0, 0.25, 0.5, 1.0), []
torch.manual_seed(0)
with torch.no_grad():
    for share in shares:
        unrolled = unroll(
            soft,
            features(batch_of.inputs),
            batch_of.words[:, :, :-1],
            batch_of.lengths,
            sampling=share,
            banned=special.banned,
        )
        truth = wanted[unrolled.places]
        by_share.append(F.cross_entropy(soft.project(unrolled.output), truth).item())
figure, axes = plt.subplots(figsize=(5, 2))
axes.plot(shares, by_share, "o-")
axes.set(xlabel="share of words that are its own", ylabel="nats a word")
plt.show()
for share, loss in zip(shares, by_share, strict=True):
    print(f"{share:4.0%} of the words its own: {loss:.2f} nats a word")
assert by_share == sorted(by_share)

# %% [markdown]
# Its own words are often right, too, but they are not the words of *this* reference. So the loss
# rises, and one mixes in only a few. (A caption that was drawn as "a star and" need not continue as
# the reference does. For this reason scheduled sampling does not, even in the limit, learn the
# distribution of the captions: Huszár 2015.)
#
# ### Self-critical training
#
# *Self-critical* training (Rennie et al. 2017) changes the objective: the score itself. A score
# such as CIDEr has no gradient, but we know what to do with a reward that has none: REINFORCE. The
# draws are now whole captions $w$, their reward $r(w)$ is the CIDEr of the caption, and the
# baseline `b` is the reward of another caption of the same network: in the paper the greedy one,
# here the mean of the other samples of the same picture:
#
# $$\mathrm{loss} = -\frac{1}{S} \sum_{s} (r(w_s) - b_s) \log p(w_s)$$

# %%
from copy import deepcopy

from cutline.fast import rollout
from cutline.metrics import Cider

rows_of = {one.image_id: row for row, one in enumerate(train)}
cider = Cider([[[*text.split(), "<end>"] for text in one.captions] for one in train])


def self_critical(decoder, regions, images, samples=5):
    """Return drawn captions, their rewards and advantages (B, samples), and the loss."""
    drawn = rollout(decoder, features(regions), words=special, max_words=20, samples=samples)
    texts = [
        vocabulary.words(row[:n])  # with its `<end>`, so that to stop is rewarded, too
        for row, n in zip(drawn.words.tolist(), drawn.lengths.tolist(), strict=True)
    ]
    owners = [rows_of[image] for image in images for _ in range(samples)]
    rewards = torch.from_numpy(cider(texts, owners)).float().view(-1, samples)
    advantages = rewards - (rewards.sum(1, keepdim=True) - rewards) / (samples - 1)
    loss = -(advantages.flatten() * drawn.log_probs.sum(1)).mean()
    return texts, rewards, advantages, loss


torch.manual_seed(0)
critic = deepcopy(soft)
texts, rewards, advantages, _ = self_critical(critic, train_table[:1], [train[0].image_id])
for text, reward, advantage in zip(texts, rewards[0], advantages[0], strict=True):
    print(f"CIDEr {reward:5.2f}  advantage {advantage:+6.2f}  {' '.join(text)}")
assert torch.allclose(advantages.sum(), torch.zeros(()), atol=1e-3)

# %% [markdown]
# Captions with a positive advantage will become more probable, those with a negative one less. Now
# a short training, from the weights of `soft`:

# %% alt="Mean CIDEr of the captions drawn, step by step: it rises."
STEPS = 120
optimizer = torch.optim.AdamW(critic.parameters(), 5e-4)
order_of = torch.randperm(len(train)).split(32)[:STEPS]
earned_by_step = []
critic.train()
for rows in order_of:
    images = [train[i].image_id for i in rows.tolist()]
    _, rewards, _, loss = self_critical(critic, train_table[rows], images)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(critic.parameters(), 5.0)
    optimizer.step()
    earned_by_step.append(rewards.mean().item())
critic.eval()
figure, axes = plt.subplots(figsize=(6, 2.2))
axes.plot(smooth(earned_by_step, 10))
axes.set(xlabel="training step", ylabel="mean CIDEr of the draws")
plt.show()

said["self-critical"] = answers(critic)
results["self-critical"] = score_scenes(said["self-critical"], scenes)
print(f"{'':14} CIDEr  truth  words")
for name in ("soft", "self-critical"):
    spoken = said[name]
    scored = score({image: one.text for image, one in spoken.items()}, references)
    ciders[name] = scored.corpus["CIDEr"]
    long = np.mean([len(one.words) for one in spoken.values()])
    print(f"{name:14} {ciders[name]:5.2f}  {results[name].truth:5.2f}  {long:5.2f}")
assert np.mean(earned_by_step[-20:]) > np.mean(earned_by_step[:20])
assert ciders["self-critical"] > ciders["soft"]

# %% [markdown]
# The reward rises, and so does the CIDEr of its captions on scenes that it has never seen. They
# have become shorter, and more of them are true, as with a wider beam: CIDEr rewards what most
# references say, and that is seldom the details. What it was not rewarded for need not become
# better. `training.objective: self_critical` in a recipe does the same for photographs
# ([Train](train.md), [The seven captioners](captioners.md#self-critical-training)).
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
# - Papineni et al. 2002, *BLEU: a method for automatic evaluation of machine translation*
# - Bengio et al. 2015, *Scheduled sampling for sequence prediction with recurrent neural networks*
#   (arXiv 1506.03099); Huszár 2015, *How (not) to train your generative model* (arXiv 1511.05101)
# - Rennie et al. 2017, *Self-critical sequence training for image captioning* (arXiv 1612.00563)
# - Luong et al. 2015, *Effective approaches to attention-based neural machine translation* (arXiv
#   1508.04025)
# - Xu et al. 2015, *Show, Attend and Tell* (arXiv 1502.03044)
# - Williams 1992, *Simple statistical gradient-following algorithms for connectionist reinforcement
#   learning*
# - Lu et al. 2017, *Knowing when to look* (arXiv 1612.01887)
