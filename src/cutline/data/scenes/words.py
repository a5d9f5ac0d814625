"""The words that scenes are made of, each in its category."""

__all__ = [
    "COLOURS",
    "DIRECTIONS",
    "NUMBERS",
    "PLACES",
    "PLURALS",
    "SHAPES",
    "SINGULARS",
    "SIZES",
    "article",
    "plural",
]

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
SIZES = ("small", "large")
NUMBERS = {"one": 1, "two": 2, "three": 3}

# "shape" stands for any of the shapes; it says nothing about which.
PLURALS = {noun: f"{noun}es" if noun.endswith("s") else f"{noun}s" for noun in (*SHAPES, "shape")}
SINGULARS = {many: one for one, many in PLURALS.items()}

DIRECTIONS = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above",),
    "below": ("below",),
}
PLACES = {
    "top left": "in the top left corner",
    "top right": "in the top right corner",
    "bottom left": "in the bottom left corner",
    "bottom right": "in the bottom right corner",
    "middle": "in the middle",
    "left": "near the left edge",
    "right": "near the right edge",
    "top": "near the top edge",
    "bottom": "near the bottom edge",
}


def article(word: str) -> str:
    """Return the indefinite article that goes before `word`.

    >>> article("orange"), article("red")
    ('an', 'a')
    """
    return "an" if word[0] in "aeiou" else "a"


def plural(noun: str) -> str:
    """Return the plural of a shape's noun.

    >>> plural("cross"), plural("shape")
    ('crosses', 'shapes')
    """
    return PLURALS[noun]
