"""A captioner without a network, so that what is done with captions can be tried in milliseconds.

use(monkeypatch)                    in this process
python tests/support/stand_in.py caption ...     in one of its own
"""

import os
import sys
import time
from types import ModuleType, SimpleNamespace


def said_of(path):
    """The caption: of each picture its own, and no text that a terminal obeys."""
    return f"a picture named {path.name.encode('utf-8', 'surrogateescape').hex()}"


def made_up(text, unsure=False, confidence=0.75):
    return SimpleNamespace(
        text=text,
        hedged=f"perhaps: {text}" if unsure else text,
        words=tuple(text.split()),
        log_probs=(-0.5,) * len(text.split()),
        confidence=confidence,
        unsure=unsure,
        sentinel=None,
    )


class StandIn:
    """Reads pictures, and captions them by their names; `$STAND_IN_SECONDS` each."""

    name = "stand-in"
    loaded = 0

    def __init__(self):
        self.timings = {}
        type(self).loaded += 1

    def search(self, beam):
        return beam

    def square(self, path, *, strict=False):
        from cutline.images import read_image

        read_image(path, strict=strict)
        return path

    def caption_each(self, paths, read, search, *, name, failed, batch_size):
        from cutline.images.unreadable import read_each

        waiting = []

        def squares():
            for path, square in read_each(paths, read, name=name, failed=failed):
                waiting.append(path)
                yield square

        for found in self.caption_squares(squares(), search, batch_size):
            yield waiting.pop(0), found[0]

    def caption_squares(self, squares, _search, batch_size):
        del batch_size
        for path in squares:
            time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0")))
            confidence = 0.25 if path.name.startswith("low") else 0.75
            unsure = path.name.startswith("odd")
            yield [made_up(said_of(path), unsure=unsure, confidence=confidence)]


def module():
    """What is found in the place of `cutline.captioner`."""
    made = ModuleType("cutline.captioner")
    made.load = lambda *_, **__: StandIn()
    made.Square = object
    return made


def use(monkeypatch):
    StandIn.loaded = 0
    monkeypatch.setitem(sys.modules, "cutline.captioner", module())


if __name__ == "__main__":
    from cutline.cli import main

    sys.modules["cutline.captioner"] = module()
    main()
