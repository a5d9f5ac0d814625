"""HTTP/1.1 connections whose headers must come in time, and of which there are not too many.

A client that sends its headers a byte at a time (slow loris) would hold a connection for ever.
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
        """A connection; it is closed when the headers of a request are too slow."""

        late: asyncio.TimerHandle | None = None

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

        def on_response_complete(self) -> None:
            """Wait for the next request, part of which may be here already."""
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait no longer."""
            self._rest()
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

    return Connection
