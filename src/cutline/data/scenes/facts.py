"""Facts about places and relations: what is left of what, what is in which corner.

Each fact has two thresholds. The writer *states* it only where nobody would object; the reader
lets it *hold* in a wider region, so that a captioner is not punished in borderline cases. With
centres (x, y), y pointing down, in picture sides:

| fact | stated when | holds when |
|---|---|---|
| a left of b | b.x - a.x >= 0.25 and >= abs(dy) | b.x - a.x >= 0.10 and >= abs(dy) / 2 |
| a above b, ... | the same, turned | the same, turned |
| in the top left corner, ... | x and y <= 0.27 | x and y <= 0.40 |
| in the middle | abs(x - 1/2), abs(y - 1/2) <= 0.12 | <= 0.20 |
| near the left edge, ... | x <= 0.20 | x <= 0.33 |
"""

from cutline.data.scenes.scene import Thing

__all__ = ["in_place", "related"]

# (state, hold)
_GAP = (0.25, 0.10)
_SLOPE = (1.0, 0.5)
_CORNER = (0.27, 0.40)
_MIDDLE = (0.12, 0.20)
_EDGE = (0.20, 0.33)


def related(direction: str, a: Thing, b: Thing, *, clearly: bool = False) -> bool:
    """Say whether `a` lies left, right, above or below `b`; `clearly` is the writer's threshold."""
    level = 0 if clearly else 1
    across, down = b.x - a.x, b.y - a.y
    gap, other = {
        "left": (across, down),
        "right": (-across, down),
        "above": (down, across),
        "below": (-down, across),
    }[direction]
    return gap >= _GAP[level] and gap >= _SLOPE[level] * abs(other)


def in_place(place: str, thing: Thing, *, clearly: bool = False) -> bool:
    """Say whether a thing is in a corner ("top left"), at an edge ("top") or in the "middle"."""
    level = 0 if clearly else 1
    if place == "middle":
        return max(abs(thing.x - 0.5), abs(thing.y - 0.5)) <= _MIDDLE[level]
    distances = {"left": thing.x, "right": 1 - thing.x, "top": thing.y, "bottom": 1 - thing.y}
    edges = place.split()
    limit = _CORNER[level] if len(edges) == 2 else _EDGE[level]
    return all(distances[edge] <= limit for edge in edges)
