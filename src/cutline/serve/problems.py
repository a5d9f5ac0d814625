"""Problem details (RFC 9457), `application/problem+json`, with a sentence for a person."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response

from cutline.errors import did_you_mean, fault_reason

__all__ = [
    "MEDIA_TYPE",
    "Problem",
    "ProblemBody",
    "busy",
    "common",
    "defect",
    "problem_response",
    "sentence_of",
]

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 3  # of which an answer speaks


class ProblemBody(BaseModel):
    """A problem's details (RFC 9457)."""

    type: str = Field("about:blank", description="the kind, by its status alone")
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what was given, what is allowed, what to do next")
    code: str = Field(description="the kind of problem, for programs")


class Problem(Exception):  # noqa: N818 - what RFC 9457 calls it
    """A request, or one picture of it, is refused.

    Args:
        status: the HTTP status.
        code: a name of the kind, for programs.
        detail: a sentence for a person.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> ProblemBody:
        """Return the details."""
        title = HTTPStatus(self.status).phrase
        return ProblemBody(title=title, status=self.status, detail=str(self), code=self.code)


def problem_response(problem: Problem) -> Response:
    """Return a problem as an answer."""
    return JSONResponse(
        problem.body().model_dump(),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def busy(seconds: int, why: str) -> Problem:
    """Return the problem of a service that has enough to do for so many seconds."""
    detail = f"{why}; try again in {seconds} s."
    return Problem(503, "busy", detail, headers={"Retry-After": str(seconds)})


def defect() -> Problem:
    """Return the problem of a service that does what it should not."""
    return Problem(
        500, "defect", "The service has a defect, which its log names; report it to its keeper."
    )


def common(problems: Sequence[Problem]) -> Problem:
    """Return one problem for several pictures, none of which can be captioned.

    Their status and code, where all have the same; else 422 `unreadable_image`.
    """
    if len(problems) == 1:
        return problems[0]
    kinds = {(problem.status, problem.code) for problem in problems}
    status, code = kinds.pop() if len(kinds) == 1 else (422, "unreadable_image")
    told = " ".join(map(str, problems[:MOST_FAULTS]))
    more = len(problems) - MOST_FAULTS
    told += f" {more:,} more cannot be captioned either." if more > 0 else ""
    return Problem(status, code, f"None of the pictures can be captioned: {told}")


def sentence_of(error: ValidationError, allowed: Iterable[str]) -> str:
    """Say what is wrong with the fields of a request, of which some are allowed."""
    allowed = list(allowed)
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = " ".join(
        dict.fromkeys(_sentence(dict(fault), allowed) for fault in faults[:MOST_FAULTS])
    )
    more = len(faults) - MOST_FAULTS
    return f"{told} {more:,} more are wrong." if more > 0 else told


def _sentence(fault: dict[str, Any], allowed: Iterable[str]) -> str:
    place = fault["loc"]
    name = str(place[0])[:60] if place else ""
    if fault["type"] == "extra_forbidden":
        return f"There is no field '{name}'; {did_you_mean(name, allowed)}."
    if fault["type"] == "missing":
        return f"The field '{name}' is missing; add it."
    if not place:
        return 'The body is not a JSON object; send one such as {"images": ["..."]}.'
    reason = fault_reason(fault["msg"])
    what = reason[:1].lower() + reason[1:]
    return f"The field '{name}' is not as it should be: {what}."
