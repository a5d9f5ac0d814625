"""A stand-in for S3: one bucket in memory, the requests that pyarrow's file system makes.

moto's server, which knows all of S3, needs twenty packages and an older python-dateutil.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "photos"


class _S3(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def objects(self) -> dict[str, bytes]:
        return self.server.objects  # type: ignore[attr-defined]

    def _asked(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        return bucket, key, query

    def _answer(self, status: int, body: bytes = b"", size: int | None = None, **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, code: str) -> None:
        self._answer(404, f"<Error><Code>{code}</Code></Error>".encode())

    def do_HEAD(self) -> None:
        bucket, key, _ = self._asked()
        if bucket == BUCKET and (not key or key in self.objects):
            data = self.objects.get(key, b"")
            self._answer(200, size=len(data), ETag=_tag(data), **_DATED)
        else:
            self._answer(404)

    def do_GET(self) -> None:
        bucket, key, query = self._asked()
        if bucket != BUCKET:
            self._missing("NoSuchBucket")
        elif not key:
            self._answer(200, self._listed(query).encode(), Content_Type="application/xml")
        elif key not in self.objects:
            self._missing("NoSuchKey")
        else:
            data = self.objects[key]
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, end = (int(found[1]), int(found[2]) + 1) if found else (0, len(data))
            part = data[start:end]
            told = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
            self._answer(206 if found else 200, part, Content_Range=told, **_DATED)

    def _listed(self, query: dict[str, str]) -> str:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = int(query.get("max-keys", "1000"))
        keys, folders = [], {}
        for key in sorted(self.objects):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders[prefix + rest.partition(delimiter)[0] + delimiter] = True
            else:
                keys.append(key)
        inside = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<LastModified>2026-11-29T00:00:00Z</LastModified></Contents>"
            for key in keys[:most]
        )
        inside += "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in folders
        )
        count = len(keys[:most]) + len(folders)
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{count}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{inside}</ListBucketResult>"
        )

    def do_PUT(self) -> None:
        _, key, query = self._asked()
        data = self._body()
        if source := self.headers.get("x-amz-copy-source"):
            self.objects[key] = self.objects[unquote(source).lstrip("/").partition("/")[2]]
            tag = _tag(self.objects[key])
            copied = f"<CopyObjectResult><ETag>{escape(tag)}</ETag></CopyObjectResult>"
            self._answer(200, copied.encode(), Content_Type="application/xml")
            return
        if "uploadId" in query:
            self.server.parts[query["uploadId"], int(query["partNumber"])] = data  # type: ignore[attr-defined]
        elif key:
            self.objects[key] = data
        self._answer(200, ETag=_tag(data))

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            whole = b""
            while data:
                head, _, rest = data.partition(b"\r\n")
                size = int(head.split(b";")[0], 16)
                if not size:
                    break
                whole, data = whole + rest[:size], rest[size + 2 :]
            return whole
        return data

    def do_POST(self) -> None:
        _, key, query = self._asked()
        self._body()
        if "uploads" in query:
            name = f"<InitiateMultipartUploadResult><UploadId>{id(self)}-{key}</UploadId>"
            name += "</InitiateMultipartUploadResult>"
            self._answer(200, name.encode(), Content_Type="application/xml")
        elif "uploadId" in query:
            parts = self.server.parts  # type: ignore[attr-defined]
            ours = sorted(part for part in parts if part[0] == query["uploadId"])
            self.objects[key] = b"".join(parts.pop(part) for part in ours)
            tag = escape(_tag(self.objects[key]))
            done = f"<CompleteMultipartUploadResult><ETag>{tag}</ETag>"
            done += "</CompleteMultipartUploadResult>"
            self._answer(200, done.encode(), Content_Type="application/xml")
        else:
            self._missing("NotImplemented")

    def do_DELETE(self) -> None:
        self.objects.pop(self._asked()[1], None)
        self._answer(204)

    def log_message(self, *_: object) -> None:
        pass


_DATED = {"Last_Modified": "Sun, 29 Nov 2026 00:00:00 GMT"}


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


@contextmanager
def s3() -> Iterator[tuple[dict[str, bytes], str]]:
    """A bucket: its objects by key, and what an address ends in to be asked here."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _S3)
    server.objects, server.parts = {}, {}  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            server.objects,  # type: ignore[attr-defined]
            f"?scheme=http&region=us-east-1&endpoint_override=127.0.0.1:{server.server_port}",
        )
    finally:
        server.shutdown()
        server.server_close()
