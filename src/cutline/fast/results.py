"""From the nodes of a prefix tree to what `unroll` returns.

Shapes: `Q` nodes, `M` real words, `R` regions, `O` output size.
"""

from torch import Tensor

from cutline.decoders import Location, Unrolled
from cutline.decoders.teacher_forcing import by_caption
from cutline.fast.prefix_tree import PrefixTree

__all__ = ["unrolled"]


def unrolled(
    tree: PrefixTree,
    words: Tensor,
    output: Tensor,
    *,
    attention: Tensor | None = None,
    sentinel: Tensor | None = None,
    location: Location | None = None,
) -> Unrolled:
    """Put `output` (Q, O), `attention` (Q, R), `sentinel` (Q,) and `location` (M,) in their places.

    `words` (B, K, T) are those read.
    """
    places = tree.places(words.shape[2])

    def of_words(rows: Tensor | None) -> Tensor | None:
        if rows is None:
            return None
        return by_caption(rows.index_select(0, tree.node), places, words, tree.longest)

    return Unrolled(output, tree.node, places, of_words(attention), of_words(sentinel), location)
