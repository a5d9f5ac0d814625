"""HTTP/1.1 connections of a limited number, with time limits on headers and answers.

A client that sends its headers a byte at a time (slow loris) would hold a connection for ever, and
one that does not read its answer the memory of it.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from cutline.serve.limits import Limits

__all__ = ["connections"]

REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def connections(limits: Limits) -> type[H11Protocol]:
    """Return the protocol of a service's connections, with its limits."""

    class Connection(H11Protocol):
        """A connection; closed when headers are too slow, aborted when an answer is not read."""

        late: asyncio.TimerHandle | None = None
        unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Begin to wait for headers."""
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
            self._watch_answer()

        def on_response_complete(self) -> None:
            """Wait for the next request, part of which may be here already."""
            super().on_response_complete()
            self._watch()
            self._watch_answer()

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
            self._rest()
            self._rest_answer()
            super().connection_lost(exc)

        def _watch(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._rest()
            elif self.late is None:
                self.late = self.loop.call_later(limits.receive, self._on_late)

        def _rest(self) -> None:
            if self.late is not None:
                self.late.cancel()
                self.late = None

        def _on_late(self) -> None:
            self.late = None
            answered = self.cycle is None or self.cycle.response_complete
            if answered and not self.transport.is_closing():
                self.transport.close()

        def _watch_answer(self) -> None:
            if not self.transport.get_write_buffer_size():
                self._rest_answer()
            elif self.unread is None:
                self.unread = self.loop.call_later(limits.send, self._on_unread)

        def _rest_answer(self) -> None:
            if self.unread is not None:
                self.unread.cancel()
                self.unread = None

        def _on_unread(self) -> None:
            self.unread = None
            if self.transport.get_write_buffer_size():
                self.transport.abort()  # `close` would wait for what is left to be read

    return Connection
