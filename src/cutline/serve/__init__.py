"""The service: captions over HTTP, and a page. Needs `cutline[serve]`, and no PyTorch.

    process      the process: a socket, the server, how it stops
    protocol     HTTP/1.1 connections, with time limits on headers and answers
    app          the application: routes and what surrounds them
    guard        security headers, the token, metrics and the log, around every request
    requests     what may be asked
    receiving    a request's body, within limits, as it comes
    multipart    the parts of a form
    admission    how many requests, and how many of their bytes, are held at once
    service      pictures in, captions out
    precisions   captioners of other precisions, loaded when asked for
    batching     captions of pictures that come together
    answers      what is answered
    problems     what is refused, as RFC 9457 has it
    limits       how much, how many, how long
    metrics      numbers for Prometheus
    page         the page's files

URLs are never fetched, and neither names nor contents of pictures are logged.
"""

from cutline.serve.app import build_app
from cutline.serve.limits import Limits
from cutline.serve.process import address, bound, is_loopback, read_token, run
from cutline.serve.service import Service

__all__ = ["Limits", "Service", "address", "bound", "build_app", "is_loopback", "read_token", "run"]
