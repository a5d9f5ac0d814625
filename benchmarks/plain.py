"""Soft attention as public PyTorch tutorials write it: the plain side of the benchmarks.

Written by us the way a competent reader of them does. Each caption has its own copy of its image's
features; the attention projects them anew at every step; an `nn.LSTMCell` stands in a Python loop;
the vocabulary is projected at every step; beam search takes one image at a time. It computes the
numbers of `cutline.decoders.Soft`, whose weights it takes.

Shapes: `N` captions, `R` regions, `D` feature size, `T` words, `V` vocabulary.
"""

import io

import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from cutline.decoders import Soft

__all__ = ["PlainEncoder", "PlainSoft", "read_plainly"]


class Attention(nn.Module):
    """Additive attention, its projection of the image included."""

    def __init__(self, feature_size: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.encoder_att = nn.Linear(feature_size, attention)
        self.decoder_att = nn.Linear(hidden, attention, bias=False)
        self.full_att = nn.Linear(attention, 1, bias=False)

    def forward(self, features: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """From features (N, R, D) and states (N, H) to a context (N, D) and weights (N, R)."""
        seen = self.encoder_att(features) + self.decoder_att(h).unsqueeze(1)
        alpha = F.softmax(self.full_att(seen.tanh()).squeeze(2), dim=1)
        return (features * alpha.unsqueeze(2)).sum(1), alpha


class PlainSoft(nn.Module):
    """The decoder, with the weights of ours."""

    def __init__(self, ours: Soft) -> None:
        super().__init__()
        vocabulary, embedding = ours.embed.weight.shape
        attention, feature_size = ours.W_a.weight.shape
        hidden = ours.Wh.shape[0]
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.init_h = nn.Linear(feature_size, hidden)
        self.init_c = nn.Linear(feature_size, hidden)
        self.attention = Attention(feature_size, hidden, attention)
        self.f_beta = nn.Linear(hidden, feature_size)
        self.decode_step = nn.LSTMCell(embedding + feature_size, hidden)
        self.L_h = nn.Linear(hidden, embedding)
        self.L_z = nn.Linear(feature_size, embedding, bias=False)
        self.L_o = nn.Linear(embedding, vocabulary)
        self._take(ours)

    def step(self, words: Tensor, features: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
        """Read words (N,); return scores (N, V), both states and where it looked."""
        y = self.embedding(words)
        context, alpha = self.attention(features, h)
        z = torch.sigmoid(self.f_beta(h)) * context
        h, c = self.decode_step(torch.cat([y, z], dim=1), (h, c))
        return [self.L_o(y + self.L_h(h) + self.L_z(z)), h, c, alpha]

    def start(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Both states from the mean of features (N, R, D)."""
        mean = features.mean(dim=1)
        return torch.tanh(self.init_h(mean)), torch.tanh(self.init_c(mean))

    def loss(self, features: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of captions (N, T + 1), the longest first; features (N, R, D)."""
        h, c = self.start(features)
        longest = int(lengths.max())
        predictions = torch.zeros(len(words), longest, self.L_o.out_features)
        for t in range(longest):
            n = int((lengths > t).sum())
            scores, h, c, _ = self.step(words[:n, t], features[:n], h[:n], c[:n])
            predictions[:n, t] = scores
        targets = pack_padded_sequence(words[:, 1:], lengths, batch_first=True).data
        scores = pack_padded_sequence(predictions, lengths, batch_first=True).data
        return F.cross_entropy(scores, targets)

    @torch.no_grad()
    def beam_search(
        self, features: Tensor, *, start: int, end: int, banned: Tensor, width: int, max_words: int
    ) -> list[int]:
        """Caption one image, features (1, R, D); return its words."""
        k = width
        features = features.expand(k, -1, -1)
        h, c = self.start(features)
        said = torch.full((k, 1), start)
        totals = torch.zeros(k, 1)
        complete: list[tuple[float, list[int]]] = []
        for step in range(max_words):
            scores, h, c, _ = self.step(said[:, -1], features, h, c)
            scores = F.log_softmax(scores, dim=1)
            scores[:, banned] = -torch.inf
            scores = totals + scores
            vocabulary = scores.shape[1]
            best, flat = (scores[0] if step == 0 else scores.view(-1)).topk(k)
            parents, words = flat // vocabulary, flat % vocabulary
            said = torch.cat([said[parents], words.unsqueeze(1)], dim=1)
            going = (words != end).nonzero()[:, 0].tolist()
            for slot in (words == end).nonzero()[:, 0].tolist():
                complete.append((best[slot].item(), said[slot, 1:-1].tolist()))
            k = len(going)
            if k == 0:
                break
            said, totals = said[going], best[going].unsqueeze(1)
            h, c, features = h[parents[going]], c[parents[going]], features[parents[going]]
        if not complete:
            return [int(word) for word in said[0, 1:]]
        return max(complete)[1]

    @torch.no_grad()
    def greedy(
        self, features: Tensor, *, start: int, end: int, banned: Tensor, max_words: int
    ) -> list[int]:
        """Caption one image, features (1, R, D), by the best word at each step."""
        h, c = self.start(features)
        word, said = torch.tensor([start]), []
        for _ in range(max_words):
            scores, h, c, _ = self.step(word, features, h, c)
            scores[:, banned] = -torch.inf
            word = scores.argmax(dim=1)
            if word.item() == end:
                break
            said.append(int(word.item()))
        return said

    @torch.no_grad()
    def _take(self, ours: Soft) -> None:
        self.embedding.load_state_dict(ours.embed.state_dict())
        self.attention.encoder_att.load_state_dict(ours.W_a.state_dict())
        self.attention.decoder_att.weight.copy_(ours.W_h.T)
        self.attention.full_att.weight.copy_(ours.v)
        for name in ("init_h", "init_c", "f_beta", "L_h", "L_z", "L_o"):
            getattr(self, name).load_state_dict(getattr(ours, name).state_dict())
        cell = self.decode_step
        for theirs, mine in ((cell.weight_ih, ours.Wx.T), (cell.weight_hh, ours.Wh.T)):
            theirs.copy_(_torch_order(mine))
        cell.bias_ih.copy_(_torch_order(ours.b))
        cell.bias_hh.zero_()


def _torch_order(gates: Tensor) -> Tensor:
    """Reorder stacked gates from `i, f, o, g` to torch's `i, f, g, o`."""
    i, f, o, g = gates.chunk(4)
    return torch.cat([i, f, g, o])


class PlainEncoder(nn.Module):
    """A timm backbone, as it comes; its grid may be pooled to `grid` x `grid`, or enlarged."""

    def __init__(self, name: str, grid: int | None = None) -> None:
        super().__init__()
        self.backbone = timm.create_model(name, num_classes=0)
        self.pool = nn.Identity() if grid is None else nn.AdaptiveAvgPool2d(grid)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """From pictures (N, 3, S, S) to features (N, R, D)."""
        features: Tensor = self.pool(self.backbone.forward_features(pixels))
        return features.flatten(2).transpose(1, 2)


def read_plainly(jpeg: bytes, side: int) -> Tensor:
    """Read, resize and normalise a picture as torchvision's recipes do; (1, 3, side, side)."""
    from torchvision import transforms  # type: ignore[import-untyped]

    prepare = transforms.Compose(
        [
            transforms.Resize((side, side)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    pixels: Tensor = prepare(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    return pixels.unsqueeze(0)
