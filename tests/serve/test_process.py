"""`cutline serve` in a process of its own: what comes over the wire, and how it ends."""

import contextlib
import json
import re
import signal
import socket
import threading
import time

import httpx
import pytest

from serve.conftest import TOKEN, begin, end

HEAD = b"POST /v1/captions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def alive(running) -> bool:
    return httpx.get(f"{running.url}healthz", timeout=10).status_code == 200


def talk(running, *pieces, pause=0.0, wait=10.0) -> bytes:
    """Send bytes over a connection of its own; return what comes until it is closed."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=wait) as line:
        for piece in pieces:
            try:
                line.sendall(piece)
            except OSError:
                break
            time.sleep(pause)
        answer = b""
        try:
            while part := line.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def body_of(jpeg):
    boundary = b"b"
    return (
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
        + jpeg + b"\r\n--" + boundary + b"--\r\n"
    )  # fmt: skip


def test_headers_that_trickle_in_are_cut_off(running):
    started = time.monotonic()
    talk(running, *[bytes([byte]) for byte in HEAD], pause=0.1)
    assert time.monotonic() - started < len(HEAD) * 0.1 + 5
    started = time.monotonic()
    assert talk(running, b"GET / HT", wait=20) == b""
    assert time.monotonic() - started < 10
    assert alive(running)


def test_a_body_that_trickles_in_is_answered_with_408(running):
    pieces = [HEAD + b"Content-Length: 1000\r\n\r\n", *[b" "] * 30]
    answer = talk(running, *pieces, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert alive(running)


def test_a_body_that_is_shorter_than_it_says_is_given_up(running):
    with socket.create_connection(("127.0.0.1", running.port)) as line:
        line.sendall(HEAD + b'Content-Length: 1000\r\n\r\n{"images"')
    assert alive(running)


@pytest.mark.parametrize(("rest", "refused"), [(b'{"images": []}\r\n\r\n', True), (b"{", False)])
def test_what_follows_a_body_is_another_request_or_none(running, rest, refused):
    started = time.monotonic()
    answer = talk(running, HEAD + b"Content-Length: 2\r\n\r\n{}" + rest)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert (b"HTTP/1.1 400 " in answer) is refused
    assert time.monotonic() - started < 8
    assert alive(running)


@pytest.mark.parametrize("length", [b"-1", b"x", b"99999999999999999999999"])
def test_a_length_that_is_none_is_refused(running, length):
    answer = talk(running, HEAD + b"Content-Length: " + length + b"\r\n\r\n{}")
    assert re.match(rb"HTTP/1.1 4(00|13) ", answer)
    assert alive(running)


@pytest.mark.parametrize(("pause", "whole"), [(0.5, True), (5, False)])
def test_a_client_that_does_not_read_its_answers_is_cut_off(running, pause, whole):
    requests = 1_500  # whose answers are more than the system's buffers hold
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * requests
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as line:
        sending = threading.Thread(target=lambda: send(line, asked))
        sending.start()
        time.sleep(pause)
        answers = b""
        try:
            while answers.count(b"HTTP/1.1 200 ") < requests and (part := line.recv(1 << 20)):
                answers += part
        except ConnectionResetError:
            pass
        sending.join()
    assert (answers.count(b"HTTP/1.1 200 ") == requests) is whole
    assert alive(running)


def send(line, data):
    with contextlib.suppress(OSError):
        line.sendall(data)


def test_a_body_that_is_too_large_is_answered_though_it_is_sent_on(running):
    headers = HEAD + b"Content-Length: 9000000\r\nConnection: close\r\n\r\n"
    answer = talk(running, headers, *[b"x" * 1_000_000] * 9)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert alive(running)


def test_requests_side_by_side_are_captioned_together(running, jpeg):
    def ask():
        found.append(
            httpx.post(f"{running.url}v1/captions", files={"image": jpeg}, timeout=60).json()
        )

    found: list[dict] = []
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len({answer["results"][0]["caption"] for answer in found}) == 1
    text = httpx.get(f"{running.url}metrics").text
    images = float(re.search(r"cutline_batch_images_sum (\S+)", text)[1])
    batches = float(re.search(r"cutline_batch_images_count (\S+)", text)[1])
    assert batches < images


def test_what_was_logged_names_no_file(running, jpeg):
    files = {"image": ("secret-name.jpg", jpeg)}
    httpx.post(f"{running.url}v1/captions?secret-query", files=files)
    assert "POST /v1/captions 200" in running.log()
    assert "secret" not in running.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_stopped_finishes_what_it_took(jpeg, number):
    running = begin(CUTLINE_TOKEN=TOKEN)
    body = body_of(jpeg)
    head = (
        f"POST /v1/captions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as line:
        line.sendall(head.encode() + body[:100])
        time.sleep(0.3)
        running.process.send_signal(number)
        time.sleep(0.5)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", running.port), timeout=5).close()
        line.sendall(body[100:])
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["results"][0]["words"]
    assert running.process.wait(timeout=20) == 0
    assert "Stopped" in running.log()
    assert TOKEN not in running.log()


def test_the_whole_world_is_served_only_when_asked_and_told_so():
    running = begin("--host", "0.0.0.0", "--quiet")
    assert end(running) == 0
    assert "--token-file asks for a token" in running.log()
