"""What surrounds every request: headers, token, metrics, log; and the routes beside captions."""

import asyncio
import logging
import re

import pytest

from cutline.errors import UsageError
from cutline.serve.batching import Batcher
from cutline.serve.page import PATHS
from cutline.serve.process import bound, is_loopback, read_token
from serve.conftest import TOKEN
from serve.test_captions import ask, problem
from support.terminal import cutline

PUBLIC = ["/healthz", "/readyz", "/openapi.json", *PATHS]


@pytest.mark.parametrize("path", [*PUBLIC, "/metrics", "/v1/model", "/nothing"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "no-" in headers["cache-control"]
    assert "server" not in headers


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_is_captioned(client, jpeg, given):
    served = client(token=TOKEN)
    headers = {"Authorization": given.encode()} if given else {}
    for path in ("/v1/model", "/metrics"):
        answer = served.get(path, headers=headers)
        problem(answer, 401, "token")
        assert answer.headers["www-authenticate"] == "Bearer"
    files = {"image": jpeg}
    problem(served.post("/v1/captions", files=files, headers=headers), 401, "token")


def test_with_the_token_pictures_are_captioned(client, jpeg):
    served = client(token=TOKEN)
    for given in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
        headers = {"Authorization": given}
        answer = served.post("/v1/captions", files={"image": jpeg}, headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize("path", PUBLIC)
def test_the_page_and_the_probes_need_no_token(client, path):
    assert client(token=TOKEN).get(path).status_code == 200


def test_a_page_of_another_site_cannot_ask(client, jpeg):
    served = client()
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        answer = served.post("/v1/captions", files={"image": jpeg}, headers=headers)
        problem(answer, 403, "other_site")
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = served.post("/v1/captions", files={"image": jpeg}, headers=headers)
    assert answer.status_code == 200


def test_the_log_and_the_metrics_name_no_file_and_no_path_that_is_unknown(client, jpeg, caplog):
    served = client()
    with caplog.at_level(logging.INFO):
        caplog.handler.setLevel(logging.INFO)
        logging.getLogger("cutline.serve").addHandler(caplog.handler)
        ask(served, jpeg, beam="7")
        served.get("/secret-path?secret-query=1")
    text = served.get("/metrics").text
    lines = [record.getMessage() for record in caplog.records if record.name == "cutline.serve"]
    assert any(line.startswith("POST /v1/captions 200") for line in lines)
    assert any(line.startswith("GET other 404") for line in lines)
    assert "secret" not in "".join(lines) + text


def test_metrics_count_requests_pictures_and_batches(client, jpeg):
    served = client()
    ask(served, jpeg, jpeg)
    ask(served, b"no")
    text = served.get("/metrics").text
    assert 'cutline_requests_total{route="/v1/captions",status="200"} 1.0' in text
    assert 'cutline_images_total{outcome="captioned"} 2.0' in text
    assert 'cutline_images_total{outcome="unreadable_image"} 1.0' in text
    assert "cutline_batch_images_sum 2.0" in text
    assert "cutline_requests_inside 0.0" in text


def test_the_description_names_bodies_and_problems(client):
    routes = client().get("/openapi.json").json()["paths"]
    post = routes["/v1/captions"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert {"200", "400", "408", "413", "415", "422", "503"} <= set(post["responses"])
    assert {"/healthz", "/readyz", "/metrics", "/v1/model"} <= set(routes)


def test_a_service_that_has_stopped_is_not_ready(client):
    served = client()
    assert served.get("/readyz").status_code == 200
    served.service._started = False  # as `stop` leaves it
    problem(served.get("/readyz"), 503, "busy")
    assert served.get("/healthz").status_code == 200


def test_a_service_whose_worker_has_ended_is_not_ready(client, monkeypatch):
    served = client()
    monkeypatch.setattr(Batcher, "working", property(lambda _: False))
    problem(served.get("/readyz"), 503, "busy")
    assert served.get("/healthz").status_code == 200


def test_what_the_page_is_made_of_is_small_and_known_by_its_tag(client):
    served = client()
    total = 0
    for path in PATHS:
        answer = served.get(path)
        total += len(answer.content)
        assert b"http" not in answer.content.replace(b"http://www.w3.org/2000/svg", b"")
        again = served.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert total < 60_000


# --- batches -------------------------------------------------------------------------------------


def batches_of(jobs, *, size=4, cancel=()):
    """Run (way, value) jobs that come together; return the batches, and what each job got."""
    seen = []

    def run(way, values):
        seen.append((way, list(values)))
        return [(way, value) for value in values]

    async def main():
        batcher = Batcher(run, size=size)
        waiting = [asyncio.ensure_future(batcher.result(*job)) for job in jobs]
        await asyncio.sleep(0)
        for number in cancel:
            waiting[number].cancel()
        await asyncio.sleep(0)
        batcher.start()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await batcher.stop()
        return found

    return seen, asyncio.run(main())


def test_jobs_that_come_together_are_computed_together_in_their_order():
    seen, found = batches_of([("a", n) for n in range(6)])
    assert seen == [("a", [0, 1, 2, 3]), ("a", [4, 5])]
    assert found == [("a", n) for n in range(6)]


def test_jobs_of_another_way_wait_for_a_batch_of_their_own():
    seen, found = batches_of([("a", 0), ("b", 1), ("a", 2), ("b", 3)])
    assert seen == [("a", [0, 2]), ("b", [1, 3])]
    assert found == [("a", 0), ("b", 1), ("a", 2), ("b", 3)]


def test_a_job_that_nobody_awaits_is_not_computed():
    seen, _ = batches_of([("a", 0), ("a", 1), ("a", 2)], cancel=[1])
    assert seen == [("a", [0, 2])]


def test_a_batch_that_fails_fails_its_jobs_and_no_others():
    def run(way, values):
        if way == "bad":
            raise MemoryError
        return values

    async def main():
        batcher = Batcher(run, size=4)
        batcher.start()
        jobs = [batcher.result("bad", 1), batcher.result("good", 2)]
        found = await asyncio.gather(*jobs, return_exceptions=True)
        await batcher.stop()
        return found

    bad, good = asyncio.run(main())
    assert isinstance(bad, MemoryError)
    assert good == 2


# --- tokens and addresses ------------------------------------------------------------------------


def test_a_token_is_read_from_a_file_before_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("CUTLINE_TOKEN", "another-token-of-some-length")
    assert read_token(file) == TOKEN
    assert read_token(None) == "another-token-of-some-length"
    monkeypatch.delenv("CUTLINE_TOKEN")
    assert read_token(None) is None


@pytest.mark.parametrize("text", ["", "short", "with a space in its middle", "é" * 20, "x" * 2000])
def test_a_token_that_is_none_is_refused_and_not_repeated(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(UsageError, match="give 16 to 1000") as caught:
        read_token(file)
    assert not text or text not in str(caught.value)


def test_a_missing_token_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="no-such-file cannot be read"):
        read_token(tmp_path / "no-such-file")


def test_an_address_that_is_taken_or_none_is_named():
    with bound("127.0.0.1", 0) as opened:
        assert is_loopback(opened)
        opened.listen()
        port = opened.getsockname()[1]
        with pytest.raises(UsageError, match=f"Nothing can listen at 127.0.0.1:{port}"):
            bound("127.0.0.1", port)
    with pytest.raises(UsageError, match="no address of this machine"):
        bound("no such host", 0)


@pytest.mark.parametrize("words", [["--max-megabytes", "200"], ["--held-megabytes", "8"]])
def test_a_request_that_could_never_be_held_is_refused_before_anything_is_loaded(words):
    done = cutline("serve", "--port", "0", *words)
    assert done.returncode == 2
    assert re.search(r"is less than --max-megabytes .* give --held-megabytes \d+ or", done.stderr)
