"""The application: its routes, and what surrounds them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

import cutline
from cutline.captioner import Caption
from cutline.serve.answers import Answer, Failure, Result, caption_body
from cutline.serve.guard import Guard
from cutline.serve.metrics import TEXT
from cutline.serve.page import PATHS, page_file
from cutline.serve.problems import (
    MEDIA_TYPE,
    Problem,
    ProblemBody,
    busy,
    common,
    defect,
    problem_response,
)
from cutline.serve.receiving import discard, receive
from cutline.serve.requests import FORM_SCHEMA, Asked, JsonBody
from cutline.serve.service import Service

__all__ = ["build_app"]

T = TypeVar("T")
SECRET = ("/v1/", "/metrics")  # what asks for the token, where there is one
GONE = 499  # the log's status of a request whose sender left
DESCRIPTION = (
    "Captions of pictures, with the probability of each word and where the model looked. "
    "Errors are `application/problem+json` (RFC 9457). URLs are never fetched."
)
WRONG = {
    400: "The body is broken",
    401: "No token, or a wrong one",
    408: "The body came too slowly",
    413: "Too many bytes, pictures, parts or pixels",
    415: "Neither a form nor JSON",
    422: "A field is wrong, or no picture can be read",
    503: "Busy; Retry-After says for how long",
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": FORM_SCHEMA},
            "application/json": {"schema": JsonBody.model_json_schema()},
        },
    }
}


def build_app(service: Service, *, token: str | None = None) -> ASGIApp:
    """Return the ASGI application of a service; with a token, captions and metrics ask for it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Cutline",
        version=cutline.__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)  # and is raised on, for the guard to log
    _add_captions(app, service, token)
    _add_model(app, service)
    _add_state(app, service)
    for path in PATHS:
        app.add_api_route(path, page_file, methods=["GET", "HEAD"], include_in_schema=False)
    routes = {*PATHS, "/openapi.json", *app.openapi()["paths"]}
    return Guard(app, service.metrics, token=token, secret=SECRET, routes=routes)


def _add_captions(app: FastAPI, service: Service, token: str | None) -> None:
    wrong: dict[int | str, dict[str, Any]] = {
        status: {"description": what, "content": {MEDIA_TYPE: {"schema": _schema(ProblemBody)}}}
        for status, what in WRONG.items()
        if status != 401 or token is not None
    }

    @app.post(
        "/v1/captions",
        summary="Caption pictures",
        response_model=Answer,
        responses=wrong,
        openapi_extra=BODY,
    )
    async def captions(request: Request) -> Response:
        """Caption one or several pictures, sent as a form or as JSON.

        Of several, those that cannot be read have a `problem` in the place of a caption.
        """
        try:
            with service.admission.visit() as visit:
                asked = await receive(request, service.limits, visit)
                found = await _unless_gone(request, service.caption(asked))
        except Problem:
            await discard(request)
            raise
        except ClientDisconnect:
            return Response(status_code=GONE)
        return _answer(service.captioner.name, asked, found)


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model", summary="What captions here, and its limits")
    async def model() -> dict[str, Any]:
        config, limits = service.captioner.config, service.limits
        return {
            "model": service.captioner.name,
            "decoder": config.decoder.name,
            "beam": config.search.beam,
            "calibrated": service.captioner.sureness is not None,
            "precision": service.precision,
            "limits": {"bytes": limits.body, "images": limits.images, "pixels": limits.pixels},
        }


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Whether the process answers")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether it captions")
    async def ready() -> dict[str, str]:
        if not service.ready:
            raise busy(1, "The service starts or stops")
        return {"status": "ready"}

    @app.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    async def metrics() -> Response:
        service.metrics.inside.set(service.admission.inside)
        service.metrics.held.set(service.admission.held)
        return Response(service.metrics.text(), media_type=TEXT)


def _answer(name: str, asked: Asked, found: list[list[Caption] | Problem]) -> Response:
    problems = [one for one in found if isinstance(one, Problem)]
    if len(problems) == len(found):
        raise common(problems)
    attention = asked.options.attention
    results = [_result(one, attention=attention) for one in found]
    answer = Answer(model=name, results=results)
    return JSONResponse(answer.model_dump(exclude_none=True))


def _result(found: list[Caption] | Problem, *, attention: bool) -> Result | Failure:
    if isinstance(found, Problem):
        return Failure(problem=found.body())
    best, *others = (caption_body(caption, attention=attention) for caption in found)
    return Result(**best.model_dump(), alternatives=others)


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Return what is awaited, unless the sender of the request leaves before."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        left = [task for task in (working, leaving) if task.cancel()]
        await asyncio.gather(*left, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_defect(_: Request, __: Exception) -> Response:
    return problem_response(defect())


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "There is nothing here", 405: f"{request.method[:10]} is not answered here"}
    detail = f"{what.get(error.status_code, str(error.detail))}; /openapi.json says what there is."
    headers = dict(error.headers or {})
    return problem_response(Problem(error.status_code, "no_such_route", detail, headers=headers))


def _schema(model: type[ProblemBody]) -> dict[str, Any]:
    return model.model_json_schema()
