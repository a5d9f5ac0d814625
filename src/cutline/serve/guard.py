"""Middleware of every request: security headers, bearer token, metrics, access log.

A line says method, route, status and milliseconds: no names of files, no queries, no bodies.
"""

import hmac
import logging
import time
import traceback
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cutline.serve.metrics import Metrics
from cutline.serve.problems import Problem, defect, problem_response

__all__ = ["POLICY", "Guard"]

LOG = logging.getLogger("cutline.serve")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FOREIGN = ("cross-site", "same-site")  # what a browser says of requests of other pages


class Guard:
    """An ASGI application around another.

    Args:
        app: the other.
        metrics: what is counted.
        token: that `secret` routes ask for, as `Authorization: Bearer TOKEN`; none: all are open.
        secret: how the paths of those routes begin.
        routes: the paths that are known; others are counted and logged as one.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        token: str | None,
        secret: Collection[str],
        routes: Collection[str],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._token = None if token is None else token.encode()
        self._secret = tuple(secret)
        self._routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def outward(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message)
            await send(message)

        try:
            await self._guarded(scope, receive, outward)
        except Exception as error:  # a defect; its values may be a person's, its place is not
            LOG.error(  # noqa: TRY400
                "%s at %s", type(error).__name__, _place(error)
            )
            if not status:
                await problem_response(defect())(scope, receive, outward)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = self._refused(scope["path"], scope["method"], headers)
        if refused is not None:
            await problem_response(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, path: str, method: str, headers: Headers) -> Problem | None:
        if method == "POST" and headers.get("sec-fetch-site") in FOREIGN:
            return Problem(
                403,
                "other_site",
                "The request comes from a page of another site, and is not answered; send it from "
                "that site's own server.",
            )
        if self._token is None or not path.startswith(self._secret):
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        return Problem(
            401,
            "token",
            "The request has no token, or a wrong one; send the header `Authorization: Bearer "
            "TOKEN` with the service's.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._routes else "other"
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        self._metrics.requests.labels(path, str(status or 499)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        LOG.info("%s %s %d %.0f ms", method, path, status or 499, 1000 * seconds)


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")


def _place(error: Exception) -> str:
    """Return where an error was raised, and where in Cutline, if that is elsewhere."""
    frames = [
        (str(frame.f_globals.get("__name__", "?")), frame.f_code.co_qualname, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [place for place in frames if place[0].partition(".")[0] == "cutline"]
    places = dict.fromkeys([*frames[-1:], *ours[-1:]])
    return ", from ".join(f"{module}.{name}, line {line}" for module, name, line in places)
