"""HTTP/1.1 connections of a limited number, with time limits on headers and answers.

A client that sends its headers a byte at a time (slow loris) would hold a connection for ever, and
one that does not read its answer the memory of it.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol

from cutline.serve.limits import Limits

__all__ = ["connections"]

REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class _Deadline:
    """A time limit: `passed` is called when it has been waited for so many seconds on end."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, passed: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.seconds = seconds
        self.passed = passed
        self.timer: asyncio.TimerHandle | None = None

    def wait(self, waiting: bool) -> None:
        """Begin to wait, unless that has begun; or wait no longer."""
        if waiting and self.timer is None:
            self.timer = self.loop.call_later(self.seconds, self._pass)
        elif not waiting and self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _pass(self) -> None:
        self.timer = None
        self.passed()


def connections(limits: Limits) -> type[H11Protocol]:
    """Return the protocol of a service's connections, with its limits."""

    class Connection(H11Protocol):
        """A connection; closed when headers are too slow, aborted when an answer is not read."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Begin to wait for headers."""
            self.late = _Deadline(self.loop, limits.receive, self._on_late)
            self.unread = _Deadline(self.loop, limits.send, self._on_unread)
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(REFUSED)
                transport.close()
                return
            self._watch()

        def data_received(self, data: bytes) -> None:
            """Read on, and wait for the rest of headers that are not whole."""
            if not self.transport.is_closing():
                super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            """Wait for the next request, part of which may be here already."""
            super().on_response_complete()
            self._watch()

        def pause_writing(self) -> None:
            """Begin to wait for an answer to be read."""
            super().pause_writing()
            self._watch_answer()

        def resume_writing(self) -> None:
            """Go on with an answer that is being read."""
            super().resume_writing()
            self._watch_answer()

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait no longer."""
            self.late.wait(False)
            self.unread.wait(False)
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Wait for headers that are not whole, and for an answer that is not read."""
            self.late.wait(self.cycle is None or self.cycle.response_complete)
            self._watch_answer()

        def _watch_answer(self) -> None:
            self.unread.wait(self.transport.get_write_buffer_size() > 0)

        def _on_late(self) -> None:
            answered = self.cycle is None or self.cycle.response_complete
            if answered and not self.transport.is_closing():
                self.transport.close()

        def _on_unread(self) -> None:
            if self.transport.get_write_buffer_size():
                self.transport.abort()  # `close` would wait for what is left to be read

    return Connection
