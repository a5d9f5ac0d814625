"""Request models of the HTTP interface: pictures and captioning options."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

__all__ = ["FORM_SCHEMA", "MOST_BEAMS", "Asked", "JsonBody", "Options"]

MOST_BEAMS = 16


class Options(BaseModel):
    """Captioning options of a request."""

    model_config = ConfigDict(extra="forbid")

    beam: Annotated[
        int | None,
        Field(ge=1, le=MOST_BEAMS, description="beam width; 1 is greedy; default: the model's"),
    ] = None
    n_best: Annotated[
        int,
        Field(ge=1, le=MOST_BEAMS, description="captions of each picture, from one beam"),
    ] = 1
    attention: Annotated[
        bool, Field(description="whether to say where the model looked for each word")
    ] = False
    precision: Annotated[
        Literal["float32", "int8"] | None,
        Field(description="of the decoder's products; default: the service's"),
    ] = None


class JsonBody(Options):
    """A request as JSON."""

    images: Annotated[
        list[str],
        FailFast(),
        Field(
            min_length=1,
            description="the bytes of picture files, in base64; never a URL",
        ),
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has arrived whole: the bytes of its pictures, and how to caption them."""

    images: list[bytes]
    options: Options


def _form_schema() -> dict[str, Any]:
    schema = Options.model_json_schema()
    image = {"type": "string", "format": "binary"}
    schema["properties"]["image"] = {
        "type": "array",
        "items": image,
        "minItems": 1,
        "description": "picture files; repeat the field for several",
    }
    schema["required"] = ["image"]
    schema["title"] = "Form"
    return schema


FORM_SCHEMA = _form_schema()
