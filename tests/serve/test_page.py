"""The page, in Chromium: what a person does with it, by mouse, by keyboard and on a phone."""

import base64
import json
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import uvicorn

import cutline
from cutline.config import read_recipe
from cutline.data.scenes import ScenePicture
from cutline.explain import explain_html, spread
from cutline.serve import Service, address, bound, build_app
from cutline.training import train
from serve.conftest import TOKEN, begin, end
from support.tiny import no_graphs, write_recipe

ASSETS = Path(__file__).resolve().parents[2] / "src" / "cutline" / "serve" / "assets"
TAKES_LONG = 30_000  # milliseconds, on a machine that is busy
PASTE = """
(text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
  const target = document.activeElement || document.body;
  const event = %s;
  target.dispatchEvent(event);
}
"""
LIT = """
(canvas) => {
  const { width, height } = canvas;
  return [...canvas.getContext("2d").getImageData(0, 0, width, height).data].filter((_, i) => i % 4 === 3);
}
"""  # noqa: E501


@pytest.fixture
def pictures(tmp_path):
    """Paths of drawn scenes."""
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"scene-{seed}.jpg")
        ScenePicture(seed, 160).open().convert("RGB").save(paths[-1])
    return paths


@pytest.fixture
def page(browser, running):
    """The page; what it logs as an error fails the test, unless it is a status that it shows."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    opened.set_default_timeout(TAKES_LONG)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    opened.goto(running.url)
    opened.locator("#model", has_text="flickr8k-small").wait_for()
    yield opened
    context.close()
    assert [fault for fault in faults if "the server responded with" not in fault] == []


def give(page, *paths):
    """Choose pictures, and wait for their captions."""
    before = page.locator(".card").count()
    page.set_input_files("#choose", [str(path) for path in paths])
    page.locator(".card").nth(before + len(paths) - 1).wait_for()
    page.locator(".card.busy").first.wait_for(state="detached")


def shown(page):
    """The alpha of the canvas over the first picture; None while nothing is shown."""
    canvas = page.locator("canvas").first
    return canvas.evaluate(LIT) if "on" in canvas.get_attribute("class") else None


def serious(page):
    """What axe-core finds serious or critical."""
    playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = playwright.Axe().run(page).response
    assert found["passes"]
    grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"]) for one in grave]


def test_a_picture_that_is_chosen_has_a_caption_with_each_words_certainty(page, pictures):
    give(page, pictures[0])
    words = page.locator(".word")
    assert words.count() > 2
    for word in words.all():
        assert word.locator("small").inner_text().endswith("%")
        assert "probability" in word.get_attribute("aria-label")
    alt = page.locator(".stage img").get_attribute("alt")
    assert " ".join(words.locator("b").all_inner_texts()) in alt
    assert "scene-0.jpg: " in page.locator("#news").inner_text()
    assert "% sure" in page.locator(".verdict").inner_text()


@pytest.mark.parametrize(
    "event",
    [
        'new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })',
        'new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })',
    ],
)
def test_a_picture_that_is_pasted_or_dropped_is_captioned(page, jpeg, event):
    page.evaluate(PASTE % event, base64.b64encode(jpeg).decode())
    page.locator(".word").first.wait_for()
    assert page.locator(".card").get_attribute("aria-label") == "pasted.jpg"


def test_each_word_that_is_pointed_at_shows_another_place(page, pictures):
    give(page, pictures[0])
    assert shown(page) is None
    seen = []
    for number in (0, 2):
        page.locator(".word").nth(number).hover()
        seen.append(shown(page))
    assert min(seen[0]) < 60
    assert max(seen[0]) == 255
    assert seen[0] != seen[1]
    page.mouse.move(5, 5)
    assert shown(page) is None
    page.locator(".word").nth(1).click()
    page.mouse.move(5, 5)
    assert shown(page) is not None  # a word that was tapped stays


def test_the_slider_and_play_go_through_the_words(page, pictures):
    give(page, pictures[0])
    slider = page.locator(".slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "on" in page.locator(".word").nth(1).get_attribute("class")
    assert "probability" in slider.get_attribute("aria-valuetext")
    page.get_by_role("button", name="▶ Play").click()
    for number in (0, 1, 2):
        page.locator(f".word:nth-child({number + 1}).on").wait_for()
    page.get_by_role("button", name="■ Stop").click()
    assert page.get_by_role("button", name="▶ Play").count() == 1


def test_other_captions_of_the_beam_can_be_looked_at(page, pictures):
    give(page, pictures[0])
    page.locator("summary").click()
    others = page.locator(".other")
    assert others.count() == 5
    texts = others.locator("span").all_inner_texts()
    assert len(set(texts)) == 5
    others.nth(3).click()
    assert " ".join(page.locator(".word b").all_inner_texts()) == texts[3]
    assert page.locator(".other").nth(3).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.className") == "other"


def test_a_model_with_a_sentinel_shows_beta_of_each_word(page, pictures):
    said = {"caption": "a <b>", "words": ["a", "<b>"], "log_probs": [-0.1, -1], "confidence": 0.5}
    said |= {"finished": True, "sentinel": [0.25, 0.001], "attention": [[[0.5, 0.25]]] * 2}
    result = {**said, "area": [0, 0, 1, 1], "alternatives": []}
    answer = json.dumps({"model": "m", "results": [result]})
    page.route(
        "**/v1/captions", lambda route: route.fulfill(body=answer, content_type="application/json")
    )
    give(page, pictures[0])
    assert page.locator(".beta").all_inner_texts() == ["β 25%", "β <1%"]
    page.locator(".word").first.hover()
    assert page.locator(".now").inner_text() == "a: probability 90%, memory 25%"
    assert page.locator(".word b").last.inner_text() == "<b>"  # text, never markup


def test_an_adaptive_model_that_is_served_shows_its_own_beta(browser, pictures, tmp_path):
    words = ["decoder={name: adaptive, embedding: 16, hidden: 24, attention: 12}"]
    recipe = read_recipe(write_recipe(tmp_path), [*words, "training.epochs=1"])
    with no_graphs():
        train(recipe, tmp_path / "run", say=lambda _: None)
        service = Service(cutline.load(tmp_path / "run" / "best"))
    server = uvicorn.Server(uvicorn.Config(build_app(service), log_config=None))
    with bound("127.0.0.1", 0) as opened:
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        page = browser.new_page()
        page.set_default_timeout(TAKES_LONG)
        page.goto(address(opened))
        assert page.locator("#beta").is_hidden()
        with page.expect_response("**/v1/captions") as answer:
            give(page, pictures[0])
        (result,) = answer.value.json()["results"]
        shown = page.locator(".beta").all_inner_texts()
        assert page.locator("#beta").is_visible()
        page.close()
        server.should_exit = True
        thread.join()
    assert len(shown) == len(result["words"])
    for text, beta in zip(shown, result["sentinel"], strict=True):
        assert float(text.strip("β <%")) == pytest.approx(100 * beta, abs=0.51 + ("<" in text))


def test_a_service_that_is_busy_is_asked_again(page, pictures):
    asked = []

    def answer(route):
        asked.append(route)
        if len(asked) > 1:
            return route.continue_()
        return route.fulfill(status=503, headers={"Retry-After": "1"}, body="{}")

    page.route("**/v1/captions", answer)
    give(page, pictures[0])
    assert len(asked) == 2
    assert page.locator(".word").count() > 2


def test_captions_are_copied_as_text_and_as_alt_text(page, pictures):
    give(page, pictures[0])
    text = " ".join(page.locator(".word b").all_inner_texts())
    page.get_by_role("button", name="Copy text").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("button", name="Copy as alt text").click()
    page.get_by_role("button", name="Copied").nth(1).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f'alt="{text}"'


def test_everything_is_done_with_the_keyboard_alone(page, pictures):
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "choose"
        page.keyboard.press("Enter")
    chooser.value.set_files(str(pictures[0]))
    page.locator(".word").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "choose"  # focus is kept
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('word')"):
            break
    assert shown(page) is not None
    page.keyboard.press("End")
    assert "on" in page.locator(".word").last.get_attribute("class")
    page.keyboard.press("ArrowLeft")
    assert "on" in page.locator(".word").nth(-2).get_attribute("class")
    page.keyboard.press("Escape")
    assert shown(page) is None


def test_many_pictures_and_a_bad_one_each_get_what_they_deserve(page, pictures, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    give(page, *pictures, bad)
    assert page.locator(".card").count() == 4
    assert page.locator(".said").count() == 3
    assert "is not a picture" in page.locator(".fault").inner_text()
    assert "bad.jpg: " in page.locator("#news").inner_text()
    page.get_by_role("button", name="Remove bad.jpg").focus()
    page.keyboard.press("Enter")
    assert page.locator(".card").count() == 3
    assert "remove" in page.evaluate("document.activeElement.className")
    page.get_by_role("button", name="Copy all").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert len(page.evaluate("navigator.clipboard.readText()").splitlines()) == 3
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0


def test_a_picture_that_is_too_large_is_refused_before_it_is_sent(page, tmp_path):
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(4_100_000))
    give(page, large)
    assert "more than the 4 MB allowed" in page.locator(".fault").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_either_theme(page, pictures, theme):
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    assert serious(page) == []
    give(page, *pictures[:2])
    page.locator("summary").first.click()
    page.locator(".word").first.click()
    assert serious(page) == []


def test_a_phone_shows_everything_within_its_width(page, pictures):
    page.set_viewport_size({"width": 360, "height": 740})
    give(page, pictures[0])
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#photograph").get_attribute("capture") == "environment"


@pytest.mark.parametrize(("touched", "lead"), [(True, "Choose photographs"), (False, "Drop")])
def test_who_cannot_drop_is_not_asked_to(browser, running, touched, lead):
    context = browser.new_context(has_touch=touched, is_mobile=touched)
    page = context.new_page()
    page.goto(running.url)
    assert page.locator(".lead").inner_text().startswith(lead)
    assert page.locator(".camera").is_visible() is touched
    context.close()


def test_a_service_with_a_token_asks_for_it(browser, pictures):
    secured = begin("--quiet", CUTLINE_TOKEN=TOKEN)
    try:
        page = browser.new_page()
        page.set_default_timeout(TAKES_LONG)
        page.goto(secured.url)
        page.locator("#secret").wait_for()
        page.set_input_files("#choose", str(pictures[0]))
        page.locator(".fault").wait_for()
        page.fill("#secret", TOKEN)
        page.keyboard.press("Enter")
        page.locator(".word").first.wait_for()
        assert page.locator("#token").is_hidden()
        page.close()
    finally:
        end(secured)


# --- what the page shares with the explanation ---------------------------------------------------


def test_the_explanation_is_one_file_whose_words_do_the_same(browser, captioner, tmp_path):
    picture = ScenePicture(1, 160).open().convert("RGB")
    explain_html(picture, captioner.caption(picture), tmp_path / "explained.html")
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((tmp_path / "explained.html").as_uri())
    page.locator(".word").nth(1).hover()
    assert "on" in page.locator(".stage .veil").nth(1).get_attribute("class")
    page.keyboard.press("ArrowRight")
    assert "on" in page.locator(".stage .veil").nth(2).get_attribute("class")
    page.keyboard.press("Escape")
    assert page.locator(".stage .veil.on").count() == 0
    assert faults == []
    page.close()


@pytest.mark.parametrize(
    "area", [(0, 0, 1, 1), (0.2, 0, 0.8, 1), (-0.25, 0, 1.25, 1)], ids=["squash", "crop", "pad"]
)
def test_light_falls_where_the_explanation_lets_it_fall(area, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    grid = np.random.default_rng(1).random((3, 5))
    script = (
        f'import {{ spread }} from "{(ASSETS / "light.js").as_uri()}";\n'
        f"console.log(JSON.stringify([...spread({grid.tolist()}, {list(area)}, 24, 16)]));\n"
    )
    (tmp_path / "light.mjs").write_text(script)
    done = subprocess.run(
        [node, tmp_path / "light.mjs"], capture_output=True, text=True, check=True
    )
    light = np.array(json.loads(done.stdout)).reshape(16, 24)
    np.testing.assert_allclose(light, spread(grid, area, (24, 16)), atol=1e-5)
