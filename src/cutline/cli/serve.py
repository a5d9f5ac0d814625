"""`cutline serve`."""

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import say
from cutline.cli.lists import Precision, chosen_model
from cutline.errors import UsageError
from cutline.models import find_model

__all__ = ["serve"]


def serve(
    model: Annotated[
        Path | None,
        typer.Argument(help="A model; default: $CUTLINE_MODEL, or Cutline's own."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 for everybody who reaches this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the token that requests must send; or $CUTLINE_TOKEN."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the decoder's products: int8 is faster, and less exact.")
    ] = Precision.FLOAT32,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Default: the processor's, at most four.")
    ] = None,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Of a request.")] = 32,
    max_images: Annotated[int, typer.Option(min=1, help="Of a request.")] = 16,
    max_pixels: Annotated[int, typer.Option(min=1, help="Of a picture.")] = 50_000_000,
    held_megabytes: Annotated[
        float,
        typer.Option(min=0.001, help="Of all requests together; further ones: 503."),
    ] = 128,
    receive_seconds: Annotated[
        float, typer.Option(min=0.1, help="That a request may take to arrive.")
    ] = 20,
    answer_seconds: Annotated[
        float, typer.Option(min=0.1, help="That its captions may take.")
    ] = 60,
    send_seconds: Annotated[
        float, typer.Option(min=0.1, help="That its answer may take to be read.")
    ] = 30,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests at a time; further ones are answered with 503.")
    ] = 128,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No line for each request on standard error.")
    ] = False,
) -> None:
    """Serve captions over HTTP, and a page.

    Only this machine is served unless --host says otherwise. SIGTERM and Ctrl-C finish what was
    taken.
    """
    from cutline import serve as service
    from cutline.captioner import load

    if held_megabytes < max_megabytes:
        raise UsageError(
            f"--held-megabytes {held_megabytes:g} is less than --max-megabytes {max_megabytes:g}, "
            f"which a single request may have; give --held-megabytes {max_megabytes:g} or more."
        )
    token, opened = service.read_token(token_file), service.bound(host, port)
    if token is None and not service.is_loopback(opened):
        say("Anyone who reaches this address can have captions; --token-file asks for a token.")
    limits = service.Limits(
        body=round(1e6 * max_megabytes),
        images=max_images,
        pixels=max_pixels,
        receive=receive_seconds,
        answer=answer_seconds,
        send=send_seconds,
        queue=queue,
        held=round(1e6 * held_megabytes),
    )
    folder = find_model(chosen_model(model))
    captioner = load(folder, precision=precision.value, threads=threads)
    service.run(
        service.Service(
            captioner,
            precision=precision.value,
            load=lambda other: load(folder, precision=other, threads=threads),
            limits=limits,
        ),
        opened,
        token=token,
        ready=lambda: say(f"{captioner.name} captions at {service.address(opened)}"),
        log=not quiet,
    )
    say("Stopped; what was taken has been answered.")
