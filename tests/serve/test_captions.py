"""POST /v1/captions: what is asked, and what is answered."""

import base64
import io
import resource
import tracemalloc
import zipfile

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cutline.errors import ModelError


def ask(client, *images, **fields):
    files = [("image", ("secret-name.jpg", image)) for image in images]
    return client.post("/v1/captions", files=files, data=fields)


def problem(answer, status, code):
    """The sentence of a problem of this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"].endswith(".") or "." in body["detail"]
    return body["detail"]


# --- captions ------------------------------------------------------------------------------------


def test_a_caption_is_the_one_that_the_captioner_gives(client, jpeg, captioner):
    answer = ask(client(), jpeg)
    (result,) = answer.json()["results"]
    expected = captioner.caption(jpeg)
    assert answer.json()["model"] == captioner.name
    assert (result["caption"], result["words"]) == (expected.text, list(expected.words))
    assert result["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    assert result["unsure"] is expected.unsure
    assert "attention" not in result
    assert result["alternatives"] == []


def test_json_in_base64_says_the_same_as_a_form(client, jpeg):
    text = base64.b64encode(jpeg).decode()
    served = client()
    form = ask(served, jpeg, n_best=2, attention="true", beam=3)
    for images in ([text], [f"data:image/jpeg;base64,{text}"]):
        body = {"images": images, "n_best": 2, "attention": True, "beam": 3}
        assert served.post("/v1/captions", json=body).json() == form.json()


def test_n_best_gives_alternatives_of_one_beam_best_first(client, jpeg, captioner):
    (result,) = ask(client(), jpeg, n_best=3).json()["results"]
    expected = [caption.text for caption in captioner.n_best(jpeg, 3)]
    assert [result["caption"], *(a["caption"] for a in result["alternatives"])] == expected


def test_n_best_beyond_the_beam_widens_it(client, jpeg):
    (result,) = ask(client(), jpeg, n_best=8, beam=2).json()["results"]
    assert len(result["alternatives"]) == 7


def test_attention_has_a_grid_for_each_word_that_sums_to_one(client, jpeg):
    (result,) = ask(client(), jpeg, attention="true").json()["results"]
    assert len(result["attention"]) == len(result["words"])
    for grid in result["attention"]:
        assert sum(map(sum, grid)) == pytest.approx(1, abs=0.01)
    assert result["area"] == [0, 0, 1, 1]


def test_several_pictures_are_answered_in_order_and_a_bad_one_by_its_number(client, jpeg):
    answer = ask(client(), jpeg, b"no picture", jpeg)
    assert answer.status_code == 200
    first, second, third = answer.json()["results"]
    assert first == third
    assert second["problem"]["detail"].startswith("Image 2 is not a picture")
    assert second["problem"]["status"] == 422


def test_another_precision_is_loaded_when_it_is_asked_for(client, jpeg, captioner):
    asked = []
    served = client(load=lambda precision: asked.append(precision) or captioner)
    for _ in range(2):
        assert ask(served, jpeg, precision="int8").status_code == 200
    assert asked == ["int8"]


def test_a_precision_that_the_model_has_not_is_named_and_looked_for_once(client, jpeg):
    asked = []

    def missing(precision):
        asked.append(precision)
        raise ModelError("no step.int8.onnx")

    served = client(load=missing)
    for _ in range(2):
        assert "int8" in problem(ask(served, jpeg, precision="int8"), 422, "no_such_precision")
    assert asked == ["int8"]
    assert "int8" in problem(ask(client(), jpeg, precision="int8"), 422, "no_such_precision")


# --- limits, each with its status and sentence ---------------------------------------------------


def test_too_many_bytes_are_refused_before_and_while_they_come(client, jpeg):
    served = client(body=1000)
    assert "0.001 MB" in problem(ask(served, jpeg), 413, "too_large")

    def chunks():  # no Content-Length
        for _ in range(5):
            yield b"x" * 500

    headers = {"Content-Type": "application/json"}
    answer = served.post("/v1/captions", content=chunks(), headers=headers)
    problem(answer, 413, "too_large")


@pytest.mark.parametrize("count", [4, 40])
def test_too_many_pictures_are_refused(client, jpeg, count):
    served = client(images=3)
    text = base64.b64encode(jpeg).decode()
    assert "3 pictures" in problem(ask(served, *[jpeg] * count), 413, "too_many_images")
    answer = served.post("/v1/captions", json={"images": [text] * count})
    problem(answer, 413, "too_many_images")


def test_ten_thousand_parts_are_refused(client, jpeg):
    parts = {f"p{number}": (None, "x") for number in range(10_000)}
    answer = client().post("/v1/captions", files=parts)
    assert "64 parts" in problem(answer, 413, "too_many_parts")


def test_a_long_field_is_refused(client, jpeg):
    problem(ask(client(), jpeg, beam="1" * 2000), 413, "field_too_long")


def test_a_pixel_bomb_is_refused_before_it_is_decoded(client, bomb):
    detail = problem(ask(client(), bomb), 413, "too_many_pixels")
    assert "10,000 x 10,000 pixels" in detail
    assert detail.startswith("The image")


def test_what_swells_when_it_is_unpacked_is_refused_or_left_packed(client):
    archive, text = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("photo.jpg", bytes(50_000_000))
    notes = PngInfo()
    notes.add_text("Comment", "x" * 50_000_000, zip=True)
    Image.new("RGB", (8, 8)).save(text, "PNG", pnginfo=notes)
    served = client()
    problem(ask(served, archive.getvalue()), 422, "unreadable_image")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ask(served, text.getvalue()).status_code in (200, 422)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


def test_a_compressed_body_is_refused(client):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = client().post("/v1/captions", content=b"\x1f\x8b", headers=headers)
    problem(answer, 415, "encoded_body")


def test_a_full_queue_answers_503_and_says_when_to_come_again(client, jpeg):
    served = client(queue=1)
    with served.service.admission.visit():
        answer = ask(served, jpeg)
        problem(answer, 503, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert ask(served, jpeg).status_code == 200
    assert served.service.admission.inside == 0


def test_bytes_that_all_requests_hold_are_bounded_and_given_back(client, jpeg):
    served = client(held=len(jpeg))  # a form has more
    problem(ask(served, jpeg), 503, "busy")
    assert served.service.admission.held == 0


def test_captions_that_take_too_long_are_given_up(client, jpeg):
    answer = ask(client(answer=1e-6), jpeg)
    problem(answer, 503, "busy")
    assert "retry-after" in answer.headers


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beam": "0"}, "'beam'"),
        ({"beam": "17"}, "less than or equal to 16"),
        ({"beam": "many"}, "'beam'"),
        ({"n_best": "-1"}, "'n_best'"),
        ({"attention": "perhaps"}, "'attention'"),
        ({"precision": "int4"}, "'float32' or 'int8'"),
        ({"bem": "3"}, "did you mean 'beam'"),
    ],
)
def test_a_wrong_field_is_named_in_a_form_and_in_json(client, jpeg, fields, words):
    served = client()
    assert words in problem(ask(served, jpeg, **fields), 422, "wrong_field")
    body = {"images": [base64.b64encode(jpeg).decode()], **fields}
    assert words in problem(served.post("/v1/captions", json=body), 422, "wrong_field")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"images": [', 400, "broken_json"),
        ("[" * 40, 400, "broken_json"),
        ("[" * 100_000, 413, "too_many_images"),
        ("[]," * 100_000, 413, "too_many_images"),
        ('{"images": ["aGk="], "title": "\u00e9\U0001f600"}', 422, "wrong_field"),
        ('{"images": ["aGk=\\ud83d\\ude00"]}', 422, "wrong_field"),
        ('{"images": ["a\\u0047k=\\/"]}', 400, "broken_base64"),
        ('{"images": ["a\\u0047k="]}', 422, "unreadable_image"),
        ("[]", 422, "wrong_field"),
        ("{}", 422, "wrong_field"),
        ('{"images": []}', 422, "wrong_field"),
        ('{"images": "aGk="}', 422, "wrong_field"),
        ('{"images": ["***"]}', 400, "broken_base64"),
        ('{"images": ["https://example.org/a.jpg"]}', 422, "url"),
        ('{"images": ["file:///etc/passwd"]}', 422, "url"),
        ('{"images": [""]}', 422, "unreadable_image"),
        ('{"images": [' + "0," * 300_000 + "0]}", 413, "too_many_images"),
        ('{"images": [' + '"aGk=",' * 300_000 + '"aGk="]}', 413, "too_many_images"),
        ("{" + ",".join(f'"f{n}": 0' for n in range(100_000)) + "}", 413, "too_many_images"),
        ("{" + ",".join(f'"f{n}": 0' for n in range(17)) + "}", 422, "wrong_field"),
        ('{"images": [0, 0, 0]}', 422, "wrong_field"),
        ('{"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}', 422, "wrong_field"),
    ],
)
def test_json_that_is_not_as_it_should_be(client, body, status, code):
    headers = {"Content-Type": "application/json"}
    answer = client().post("/v1/captions", content=body.encode(), headers=headers)
    assert len(problem(answer, status, code)) < 1_000


@pytest.mark.parametrize("count", [1, 15, 16, 1_100])
@pytest.mark.parametrize("start", ["", "data:image/jpeg;base64,"])
def test_as_many_pictures_as_are_allowed_fit_into_json_with_every_field(client, count, start):
    images = [f"{start}{base64.b64encode(b'no').decode()}"] * count
    fields = {"beam": 2, "n_best": 2, "attention": True, "precision": "float32"}
    body = {"images": images, **fields}
    answer = client(images=count).post("/v1/captions", json=body)
    problem(answer, 422, "unreadable_image")


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        ("", "[],", "0"),
        ("", "{},", "0"),
        ("", '"",', "0"),
        ("", "[", ""),
        ('"', "AAAA", '"'),
        ('"', "AAAA", '\U0001f600"'),
        ('"', "AAAA", '\\ud83d\\ude00"'),
    ],
)
def test_a_json_body_takes_little_more_memory_than_its_bytes(client, start, piece, end):
    inside = piece * (4_000_000 // len(piece))
    body = f'{{"images": [{start}{inside}{end}]}}'.encode()
    headers = {"Content-Type": "application/json"}
    served = client()
    tracemalloc.start()
    try:
        answer = served.post("/v1/captions", content=body, headers=headers)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code in (400, 413, 422)
    assert most < 3 * len(body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=", b""),
        ("multipart/form-data; boundary=" + "b" * 200, b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--c\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 100),
    ],
)
def test_a_form_that_is_none_is_refused(client, kind, body):
    answer = client().post("/v1/captions", content=body, headers={"Content-Type": kind})
    problem(answer, 400, "broken_form")


def test_a_form_without_pictures_is_refused(client):
    answer = client().post("/v1/captions", files={"beam": (None, "3")})
    problem(answer, 422, "no_images")


@pytest.mark.parametrize("kind", ["", "image/jpeg", "application/x-www-form-urlencoded"])
def test_other_kinds_of_bodies_are_refused_with_those_allowed(client, jpeg, kind):
    answer = client().post("/v1/captions", content=jpeg, headers={"Content-Type": kind})
    assert "multipart/form-data" in problem(answer, 415, "unknown_kind")


def test_pictures_none_of_which_can_be_read_are_a_problem(client):
    detail = problem(ask(client(), b"a", b"b"), 422, "unreadable_image")
    assert "Image 1" in detail
    assert "Image 2" in detail
    assert "7 more" in problem(ask(client(), *[b"a"] * 10), 422, "unreadable_image")


def test_pictures_all_of_which_are_wrong_alike_have_the_status_of_each(client, bomb):
    assert "Image 2" in problem(ask(client(), bomb, bomb), 413, "too_many_pixels")
    problem(ask(client(), bomb, b"no picture"), 422, "unreadable_image")


@pytest.mark.parametrize(("path", "status"), [("/v2", 404), ("/v1/captions", 405), ("/docs", 404)])
def test_what_is_not_there_is_a_problem_too(client, path, status):
    answer = client().get(path)
    problem(answer, status, "no_such_route")
    assert "allow" in answer.headers or status == 404


def test_a_defect_is_a_problem_that_tells_nothing(client, jpeg, monkeypatch, caplog):
    served = client()
    monkeypatch.setattr(served.service, "_square", lambda *_: 1 / 0)
    assert "division" not in problem(ask(served, jpeg), 500, "defect")
    at, _, ours = caplog.text.partition("ZeroDivisionError at ")[2].partition(", from ")
    assert at.startswith(f"{__name__}.test_a_defect_is_a_problem_that_tells_nothing.<locals>")
    assert ours.startswith("cutline.serve.")
    assert "division by zero" not in caplog.text
    assert served.service.admission.inside == 0


def test_a_small_picture_and_one_with_an_orientation_are_captioned(client, captioner):
    image = Image.new("RGB", (1, 1), "red")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert ask(client(), buffer.getvalue()).status_code == 200
