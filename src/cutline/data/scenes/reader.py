"""The reader: a caption, word by word, into what it states.

    caption    = "a picture of" phrase rest
               | ["there" ("is" | "are")] ["only"] phrase rest
               | phrase ("is" | "are" | "sits" | "sit") tail
               | phrase ("is" | "are") (size | colour)
               | phrase "and one is" phrase
    rest       = {("and" | "with") phrase} ["in the picture"] | tail
    tail       = relation phrase | place
    phrase     = determiner [size] [colour] noun
    determiner = "a" | "an" | "the" | "one" | "two" | "three" | "both" | "all three"

Number must agree ("two circles are"), and so must "a" and "an". Every sentence of the writer is
read; so are many that it does not write. Nothing else is: a caption with a word too many is
unreadable, and an unreadable caption is not true.
"""

from dataclasses import dataclass, field

from cutline.data.scenes.words import (
    COLOURS,
    DIRECTIONS,
    NUMBERS,
    PLACES,
    PLURALS,
    SINGULARS,
    SIZES,
    article,
)

__all__ = ["Among", "Fact", "Phrase", "Place", "Quality", "Reading", "Relation", "read"]

_RELATIONS = {form: name for name, forms in DIRECTIONS.items() for form in forms}
_PLACES = {form: name for name, form in PLACES.items()}
_COUNTS = {"the": 1, **NUMBERS, "both": 2, "all three": 3}
_OF_ALL = ("both", "all three")  # only where the caption begins


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase: words `start` to `end` (excluded) of the caption; its noun is the last.

    `count` is how many things of its description there must be; None means at least one.
    """

    determiner: str
    size: str
    colour: str
    noun: str
    start: int
    end: int

    @property
    def count(self) -> int | None:
        """Exact number of things that fit ("the" is one); None for "a"."""
        return _COUNTS.get(self.determiner)

    @property
    def plural(self) -> bool:
        """Return whether it speaks of several things."""
        return (self.count or 1) > 1


@dataclass(frozen=True, slots=True)
class Relation:
    """All things of phrase `subject` lie in this direction of that of phrase `target`."""

    direction: str
    subject: int
    target: int


@dataclass(frozen=True, slots=True)
class Place:
    """All things of phrase `subject` are in this place."""

    place: str
    subject: int


@dataclass(frozen=True, slots=True)
class Quality:
    """All things of phrase `subject` have this colour or size."""

    word: str
    subject: int


@dataclass(frozen=True, slots=True)
class Among:
    """Exactly one of the things of phrase `whole` fits phrase `member`."""

    member: int
    whole: int


Fact = Relation | Place | Quality | Among


@dataclass(frozen=True, slots=True)
class Reading:
    """Content of a caption: its phrases, the facts that link them by index, and "only".

    An unreadable caption keeps the noun phrases that can be made out in it, and states nothing.
    """

    readable: bool
    phrases: tuple[Phrase, ...]
    facts: tuple[Fact, ...] = ()
    only: bool = False


def read(caption: str) -> Reading:
    """Read a caption of lower-case words.

    >>> read("the red circle is above a star").facts
    (Relation(direction='above', subject=0, target=1),)
    >>> read("a red red circle").readable
    False
    """
    words = tuple(caption.split())
    try:
        return _Parser(words).caption()
    except _UnreadableError:
        return Reading(readable=False, phrases=_scan(words))


class _UnreadableError(Exception):
    """The caption is no sentence of the grammar."""


@dataclass
class _Parser:
    words: tuple[str, ...]
    at: int = 0
    phrases: list[Phrase] = field(default_factory=list)

    def caption(self) -> Reading:
        verb = self.takes("there is", "there are")
        picture = None if verb else self.takes("a picture of")
        only = None if picture else self.takes("only")
        subject = self.phrase()
        self.insist(verb is None or (verb == "there are") == subject.plural)
        facts = self.list_or_tail() if verb or picture or only else self.predicate(subject)
        self.insist(self.at == len(self.words))
        self.insist(subject.determiner not in _OF_ALL or bool(facts))
        return Reading(
            readable=True, phrases=tuple(self.phrases), facts=facts, only=only is not None
        )

    def predicate(self, subject: Phrase) -> tuple[Fact, ...]:
        """Read what follows a phrase that no "there is" came before."""
        if subject.plural and self.takes("and one is"):
            self.insist(self.phrase().count is None)
            return (Among(member=1, whole=0),)
        if self.takes("are" if subject.plural else "is"):
            quality = self.takes(*SIZES, *COLOURS)
            return (Quality(quality, subject=0) if quality else self.tail(),)
        if self.takes("sit" if subject.plural else "sits"):
            return (self.tail(),)
        return self.list_or_tail()

    def list_or_tail(self) -> tuple[Fact, ...]:
        links = 0
        while links < 2 and self.takes("and", "with"):
            self.phrase()
            links += 1
        if self.takes("in the picture") or links > 0 or self.at == len(self.words):
            return ()
        return (self.tail(),)

    def tail(self) -> Fact:
        if relation := self.takes(*_RELATIONS):
            self.phrase()
            return Relation(_RELATIONS[relation], subject=0, target=1)
        place = self.takes(*_PLACES)
        self.insist(place is not None)
        return Place(_PLACES[place or ""], subject=0)

    def phrase(self) -> Phrase:
        start = self.at
        determiner = self.takes("a", "an", *_COUNTS) or ""
        self.insist(determiner not in _OF_ALL or start == 0)
        if determiner in ("a", "an"):
            self.insist(self.at < len(self.words) and determiner == article(self.words[self.at]))
        size, colour = self.takes(*SIZES) or "", self.takes(*COLOURS) or ""
        several = _COUNTS.get(determiner, 1) > 1
        noun = self.takes(*(SINGULARS if several else PLURALS)) or ""
        self.insist(determiner != "" and noun != "")
        phrase = Phrase(determiner, size, colour, SINGULARS.get(noun, noun), start, self.at)
        self.phrases.append(phrase)
        return phrase

    def insist(self, condition: bool) -> None:
        if not condition:
            raise _UnreadableError

    def takes(self, *options: str) -> str | None:
        """Step over the first of these (words, or words in a row) that comes next."""
        for option in options:
            wanted = tuple(option.split())
            if self.words[self.at : self.at + len(wanted)] == wanted:
                self.at += len(wanted)
                return option
        return None


def _scan(words: tuple[str, ...]) -> tuple[Phrase, ...]:
    """Make out the noun phrases of an unreadable caption: a noun and what stands before it."""
    phrases = []
    for index, word in enumerate(words):
        noun = SINGULARS.get(word, word)
        if noun not in PLURALS:
            continue
        start, size, colour = index, "", ""
        if start > 0 and words[start - 1] in COLOURS:
            start, colour = start - 1, words[start - 1]
        if start > 0 and words[start - 1] in SIZES:
            start, size = start - 1, words[start - 1]
        phrases.append(Phrase("", size, colour, noun, start, index + 1))
    return tuple(phrases)
