"""The process: a socket, the server, and how it stops."""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from cutline.errors import UsageError
from cutline.files import printable
from cutline.serve.app import build_app
from cutline.serve.protocol import connections
from cutline.serve.service import Service
from cutline.untrusted import shortened

__all__ = ["address", "bound", "check_token", "is_loopback", "read_token", "run"]

SHORTEST_TOKEN, LONGEST_TOKEN = 16, 1_000
BACKLOG = 512


def read_token(file: Path | None) -> str | None:
    """Return the token of a file, of `$CUTLINE_TOKEN`, or None.

    Raises:
        UsageError: the file cannot be read, or the token is too short to be one.
    """
    if file is None:
        given = os.environ.get("CUTLINE_TOKEN")
        return None if given is None else check_token(given, "$CUTLINE_TOKEN")
    try:
        with file.open(encoding="utf-8") as stream:
            return check_token(stream.read(LONGEST_TOKEN + 2), printable(file))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{printable(file)} cannot be read ({reason}).") from None


def check_token(given: str, name: str) -> str:
    """Return a token without the space around it; one that is none is a `UsageError`."""
    token = given.strip()
    plain = token.isascii() and token.isprintable() and " " not in token
    if plain and SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        return token
    raise UsageError(
        f"The token of {name} has {len(token)} characters; give {SHORTEST_TOKEN} to "
        f"{LONGEST_TOKEN} of plain ASCII without spaces, such as `openssl rand -hex 32` makes."
    )


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address, which nobody can connect to yet.

    Raises:
        UsageError: it is taken, or not this machine's.
    """
    name = shortened(f"{host}:{port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name} is no address of this machine ({reason}).") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(place)
    except OSError as error:
        opened.close()
        raise UsageError(
            f"Nothing can listen at {name} ({error.strerror}); give another --host or --port."
        ) from None
    return opened


def is_loopback(opened: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ipaddress.ip_address(opened.getsockname()[0].partition("%")[0]).is_loopback


def address(opened: socket.socket) -> str:
    """Return a socket's address as a browser takes it."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """A server that Ctrl-C and SIGTERM ask to finish; a second time, to stop at once."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle both signals while serving; the process then ends as one that is done."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def run(
    service: Service,
    opened: socket.socket,
    *,
    token: str | None,
    ready: Callable[[], None],
    log: bool,
) -> None:
    """Serve on a socket until Ctrl-C or SIGTERM; what was taken is finished."""
    _log_to_standard_error(wanted=log)
    limits = service.limits
    config = uvicorn.Config(
        build_app(service, token=token),
        http=connections(limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=round(limits.receive + limits.answer + limits.send) + 1,
    )
    Server(config, ready).run([opened])


def _log_to_standard_error(*, wanted: bool) -> None:
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _set("cutline.serve", handler, logging.INFO if wanted else logging.ERROR)
    _set("uvicorn.error", handler, logging.ERROR)  # its warnings repeat what clients send


def _set(name: str, handler: Any, level: int) -> None:
    logger = logging.getLogger(name)
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)
