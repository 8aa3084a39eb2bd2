"""The page of the server: its files, and its behavior in headless Chromium.

The tests in a browser are marked `slow`: `pytest -m slow tests/inference/test_serving_page.py`. They need
`pip install playwright` and a Chromium (`apt-get install chromium`, or the path in `CHROMIUM`). The test of
accessibility needs axe-core: the path of `axe.min.js` in `AXE_CORE`, or `npm`, which downloads it.
"""

import ast
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import httpx2
import pytest
from served import running
from starlette.applications import Starlette
from starlette.routing import Mount
from tiny_models import LABELS, tiny_model

from nlp_inference import Document, Predictor, Processor, TokenClassification
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.serving import ServerSettings, create_app, page

FOLDER = Path(page.__file__).parent
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))
HOSTILE = ("<img src=x onerror=window.hit=1>", "</script><script>window.hit=1</script>")
TEXT = "<p>😀 Ana L&oacute;pez 👩‍👩‍👧 lives in Rome.</p>"


def loaded(processor):
    from nlp_inference.backends.torch import TorchBackend

    return Predictor(processor, TorchBackend(tiny_model(processor.task), task=processor.task))


@pytest.fixture(scope="module")
def models(token_processor, multi_processor, question_processor, relation_processor, span_processor, tokenizer):
    hostile = Processor(tokenizer, TokenClassification(labels=HOSTILE), preprocess=["strip_html"])
    processors = {
        "spans": token_processor,
        "multi": multi_processor,
        "question": question_processor,
        "relations": relation_processor,
        "nested": span_processor,
        "hostile": hostile,
    }
    return {name: loaded(processor) for name, processor in processors.items()}


@pytest.fixture(scope="module")
def url(models):
    with running(create_app(models)) as url:
        yield url


# ------------------------------------------------------------------------------------------------------------- files


def test_the_server_returns_every_file(token_processor):
    with running(create_app(loaded(token_processor))) as url, httpx2.Client(base_url=url) as http:
        for path in ("/", "/docs", *(f"/page/{file.name}" for file in FILES if file.suffix != ".html")):
            response = http.get(path)
            assert response.status_code == 200, path
            policy = response.headers["Content-Security-Policy"]
            for rule in ("default-src 'none'", "script-src 'self';", "require-trusted-types-for 'script'"):
                assert rule in policy
            assert "unsafe" not in policy
            unchanged = http.get(path, headers={"If-None-Match": response.headers["ETag"]})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert http.get("/page/__init__.py").status_code == 404
    with running(create_app(loaded(token_processor), settings=ServerSettings(page=False))) as url:
        assert httpx2.get(f"{url}/docs").status_code == 404


def test_all_files_together_are_small():
    assert sum(file.stat().st_size for file in FILES) < 200_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_refers_to_no_other_host_and_makes_no_markup_of_texts(file):
    content = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", content)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", content
    )
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=\"", content)


def test_modules_import_files_that_exist():
    for file in FILES:
        for name in re.findall(r'from "\./([^"]+)"', file.read_text(encoding="utf-8")):
            assert (FOLDER / name).is_file(), f"{file.name} imports {name}"


def test_motion_is_reduced_on_request():
    assert "prefers-reduced-motion: reduce" in (FOLDER / "page.css").read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------- browser


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium, or its path in CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, url):
    """Open a path of the server; the test fails if the page logs an error or asks another host."""
    contexts, problems = [], []

    def open_page(path="/", *, server=url, expected=(), **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on(
            "console", lambda line: line.type == "error" and not _is(line.text, expected) and problems.append(line.text)
        )
        tab.on("request", lambda request: request.url.startswith((server, "data:")) or problems.append(request.url))
        tab.goto(f"{server}{path}")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def until(tab, expression, *, seconds=20):
    """Wait until a JavaScript expression is true; the policy of the page forbids `wait_for_function`."""
    end = time.monotonic() + seconds
    while not tab.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        time.sleep(0.05)


def _is(text, expected):
    return any(part in text for part in expected)


def fragment(**fields):
    return f"/#{httpx2.QueryParams(fields)}"


def texts_of_spans(tab):
    """Return the text of each span, as the page shows it, without labels."""
    return tab.evaluate(
        """() => {
            const found = {};
            for (const one of document.querySelectorAll("#passage .mark")) {
                found[one.dataset.span] = (found[one.dataset.span] ?? "") + one.textContent;
            }
            return Object.values(found);
        }"""
    )


def predicted(url, text, model="spans"):
    query = {"model": model, "offsets": "utf-16", "explain": "true"}
    return httpx2.post(f"{url}/documents", params=query, json={"text": text}).json()


@pytest.mark.slow
def test_a_text_is_predicted_when_typing_pauses(opened):
    tab = opened()
    tab.wait_for_selector("#passage")
    requests = []
    tab.on("request", lambda request: "/documents" in request.url and requests.append(request.post_data))
    tab.fill("#text", "")
    tab.type("#text", "Bob lives in Rome", delay=20)
    until(tab, "document.querySelector('#passage')?.textContent.includes('Rome')")
    assert [json.loads(one)["text"] for one in requests] == ["Bob lives in Rome"]
    assert tab.inner_text("#counter") == "17 characters"
    assert "found" in tab.inner_text("#live")


@pytest.mark.slow
def test_a_response_to_an_earlier_text_is_discarded(opened):
    tab = opened()
    tab.wait_for_selector("#passage")
    # The first request takes longer than the second, and cannot be aborted.
    tab.evaluate(
        """() => {
            const real = window.fetch;
            let calls = 0;
            window.fetch = async (path, options) => {
                const late = calls++ === 0 ? 1500 : 0;
                const response = await real(path, { ...options, signal: undefined });
                await new Promise((done) => setTimeout(done, late));
                return response;
            };
        }"""
    )
    tab.fill("#text", "first")
    tab.press("#text", "Control+Enter")
    tab.fill("#text", "second")
    tab.press("#text", "Control+Enter")
    until(tab, "document.querySelector('#passage').textContent.startsWith('second')")
    tab.wait_for_timeout(2000)
    assert tab.evaluate("document.querySelector('#passage').textContent").startswith("second")


@pytest.mark.slow
def test_offsets_count_as_javascript_does(opened, url):
    tab = opened(fragment(model="spans", text=TEXT))
    tab.wait_for_selector("#passage")
    output = predicted(url, TEXT)
    units = TEXT.encode("utf-16-le")
    expected = [units[2 * one["start"] : 2 * one["end"]].decode("utf-16-le") for one in output["predicted"]["spans"]]
    assert expected
    assert texts_of_spans(tab) == expected
    tab.click("summary")
    first = output["predicted"]["spans"][0]
    assert tab.inner_text("td.offset >> nth=0") == f"{first['start']}–{first['end']}"
    read = tab.inner_text("div.read")
    assert read == output["explanation"]["text"] == "😀 Ana López 👩‍👩‍👧 lives in Rome."


@pytest.mark.slow
def test_the_alignment_is_that_of_the_library(opened):
    tab = opened()
    choose = random.Random(3)  # noqa: S311 - texts, not secrets
    cases = []
    for _ in range(200):
        aligned = AlignedText("".join(choose.choices("aé😀 ", k=choose.randint(1, 12))))
        for step in range(3):
            aligned = aligned.edit(f"step{step}", 1, random_edits(choose, aligned.current))
        content = Document(raw_text=aligned.raw).with_aligned(aligned).to_offsets("utf-16")
        cases.append({"raw": aligned.raw, "edits": content["edits"], "current": aligned.current})
    wrong = tab.evaluate(
        """async (cases) => {
            const { Alignment } = await import("./page/alignment.js");
            return cases.filter(({ raw, edits, current }) => {
                const alignment = new Alignment(raw, edits);
                if (alignment.current !== current) return true;
                for (let start = 0; start < raw.length; start += 1) {
                    for (let end = start + 1; end <= raw.length; end += 1) {
                        const ranges = alignment.fromRaw(start, end);
                        const lengths = alignment.texts.map((text) => text.length);
                        if (ranges.some(([from, to], level) => from > to || to > lengths[level])) return true;
                        const untouched = edits.every((record, level) =>
                            record.edits.every(([from, to]) => to < ranges[level][0] || from > ranges[level][1]));
                        if (!untouched) continue;
                        const [from, to] = ranges.at(-1);
                        if (current.slice(from, to) !== raw.slice(start, end)) return true;
                        if (String(alignment.fromCurrent(from, to)[0]) !== String([start, end])) return true;
                    }
                }
                return false;
            });
        }""",
        cases,
    )
    assert wrong == []


def random_edits(choose, text):
    """Return edits that do not overlap."""
    edits, position = [], 0
    while position < len(text):
        start = choose.randint(position, len(text))
        end = min(len(text), start + choose.randint(0, 2))
        if end > position:
            edits.append(Edit(start, end, choose.choice(["", "x", "yz", "🏡"])))
        position = end + 1
    return edits


@pytest.mark.slow
def test_the_keyboard_alone_traces_spans_and_tokens(opened):
    tab = opened(fragment(model="spans", text=TEXT))
    tab.wait_for_selector("#passage .chip")
    tab.focus("#text")
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.matches('.chip')"):
            break
    chip = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert chip.partition(":")[0].split()[0] in LABELS
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.evaluate("CSS.highlights.get('trace').size") > 0
    rows = tab.eval_on_selector_all(".ladder dt", "all => all.map((one) => one.firstChild.data)")
    assert [rows[0], *rows[-4:]] == ["Received", "Model reads", "Tokens", "Window", "Prediction"]
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert tab.is_visible(".pin")
    announced = tab.evaluate("document.querySelector('#live').textContent")
    assert announced.startswith(f"Pinned: {chip.split()[0]}")
    assert all(f". {row} " in announced for row in ("Model reads", "Tokens", "Prediction"))
    tab.keyboard.press("Escape")
    assert not tab.is_visible(".pin")
    tab.focus("button.token")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.dataset.token") == "1"
    assert tab.inner_text("#trace .tag") == "token 2"
    assert tab.evaluate("document.querySelectorAll('button.token[tabindex=\"0\"]').length") == 1


@pytest.mark.slow
def test_a_token_is_traced_to_the_raw_text(opened, url):
    tab = opened(fragment(model="spans", text=TEXT))
    tab.wait_for_selector("button.token")
    token = next(one for one in predicted(url, TEXT)["explanation"]["tokens"] if "&oacute;" in utf16(TEXT, one))
    index = predicted(url, TEXT)["explanation"]["tokens"].index(token)
    tab.hover(f"button[data-token='{index}']")
    found = tab.evaluate(
        "[...CSS.highlights.get('trace')].filter((one) => passage.contains(one.startContainer)).map(String).join('')"
    )
    assert found == utf16(TEXT, token) == "L&oacute;pez"
    assert "L&oacute;pez" in tab.inner_text(".ladder")


def utf16(text, one):
    return text.encode("utf-16-le")[2 * one["start"] : 2 * one["end"]].decode("utf-16-le")


@pytest.mark.slow
def test_hostile_texts_and_labels_remain_text(opened):
    text = "<img src=x onerror=window.hit=1> \"'><svg onload=window.hit=1> javascript:window.hit=1 Ana Bob"
    for path in (fragment(model="hostile", text=text), fragment(model="spans", text=text, head=text, threshold=text)):
        tab = opened(path)
        tab.wait_for_selector("#passage")
        tab.click("#about-button")
        tab.wait_for_timeout(300)
        assert tab.evaluate("window.hit") is None
        assert tab.evaluate("document.querySelectorAll('main img, main svg, main script, dialog img').length") == 0
        shown = tab.evaluate("document.querySelector('#passage').textContent")
        assert "<img src=x onerror=window.hit=1>" in shown
    assert tab.evaluate("document.querySelectorAll('iframe, object, embed').length") == 0


@pytest.mark.slow
def test_browsers_refuse_markup(opened):
    tab = opened(expected=("TrustedHTML",))
    refused = "() => { try { document.body.insertAdjacentHTML('beforeend', '<b>'); } catch (e) { return e.name; } }"
    assert tab.evaluate(refused) == "TypeError"


@pytest.mark.slow
def test_a_link_contains_the_state_and_the_server_never_sees_it(opened, url):
    tab = opened()
    tab.wait_for_selector("#passage")
    tab.select_option("#model", "multi")
    tab.fill("#text", "Ana lives in Rome & <Paris>")
    tab.press("#text", "Control+Enter")
    tab.wait_for_selector("#heads button")
    tab.click("#heads >> text=slots")
    tab.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    tab.click("#share")
    until(tab, "window.copied")
    link = tab.evaluate("window.copied")
    assert link.startswith(f"{url}/#model=multi&head=slots&text=Ana+lives")
    requests = []
    other = opened()
    other.on("request", lambda request: requests.append(request.url))
    other.goto("about:blank")
    other.goto(link)
    other.wait_for_selector("#passage")
    assert other.input_value("#text") == "Ana lives in Rome & <Paris>"
    assert other.get_attribute("#heads button:has-text('slots')", "aria-pressed") == "true"
    assert not [one for one in requests if "Paris" in one.partition("#")[0]]


@pytest.mark.slow
def test_models_heads_and_thresholds(opened, url):
    tab = opened(fragment(model="multi", text="Ana lives in Rome with Bob"))
    tab.wait_for_selector("#heads button")
    assert tab.locator("#heads button").all_inner_texts() == ["All heads", "slots", "chain", "topic", "stars"]
    assert tab.locator(".facts h3").all_inner_texts() == ["topic", "stars"]
    tab.click("#heads >> text=topic")
    assert tab.locator("#passage .chip").count() == 0
    assert tab.locator(".category").count() == 1
    assert "heads=topic" in tab.inner_text("#code")
    tab.select_option("#model", "spans")
    tab.wait_for_selector("#passage .chip")
    before = tab.locator("#passage .chip").count()
    tab.focus("#threshold")
    tab.keyboard.press("End")
    tab.wait_for_selector(".note")
    assert tab.inner_text(".note").startswith(f"{before} with a score below 1.00")
    assert tab.locator("#passage .chip").count() == 0


@pytest.mark.slow
def test_pairs_relations_and_nested_spans(opened):
    tab = opened(fragment(model="question", text="Ana lives in Rome.", pair="Where does Ana live?"))
    tab.wait_for_selector("#passage")
    assert tab.is_visible("#pair")
    assert "no answer" in tab.inner_text(".numbers")
    assert "Second text" in tab.inner_text("#pair-stages")
    assert tab.locator("#pair-stages .token").all_inner_texts() == ["Where", "does", "Ana", "live", "?"]
    tab.goto(tab.url.partition("#")[0] + fragment(model="relations", text="Ana lives in Rome with Bob")[1:])
    tab.wait_for_selector(".relation")
    tab.focus(".relation")
    assert tab.evaluate("CSS.highlights.get('trace').size") > 1
    tab.goto(tab.url.partition("#")[0] + fragment(model="nested", text="Ana lives in Rome with Bob")[1:])
    until(tab, "document.querySelector('#model').value === 'nested' && document.querySelector('.mark')")
    assert tab.evaluate(
        "[...document.querySelectorAll('.mark')].some((one) => one.style.backgroundImage.includes('), l'))"
    )


@pytest.mark.slow
def test_a_long_text_stays_usable(opened):
    tab = opened()
    tab.wait_for_selector("#passage")
    tab.click("text=3,000 words")
    until(tab, "document.querySelector('#counter').textContent.startsWith('17,')")
    until(tab, "document.querySelectorAll('.brick').length > 100", seconds=60)
    assert tab.evaluate("document.querySelectorAll('button.token').length") < 2000
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.focus(".brick")
    tab.keyboard.press("End")
    tab.keyboard.press("Enter")  # its tokens and its text were not on the page yet
    assert tab.evaluate("document.querySelectorAll('button.token.on').length") > 0
    assert tab.evaluate("[...CSS.highlights.get('trace')].some((one) => passage.contains(one.startContainer))")


@pytest.mark.slow
def test_themes(opened):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = (opened(color_scheme=scheme) for scheme in ("light", "dark"))
    assert light.evaluate(background) != dark.evaluate(background)
    assert light.get_attribute("#theme", "aria-label") == "Use the dark theme"
    light.click("#theme")
    assert light.evaluate(background) == dark.evaluate(background)
    light.reload()
    assert light.evaluate(background) == dark.evaluate(background)


@pytest.mark.slow
def test_a_server_with_keys(opened, token_processor):
    settings = ServerSettings(api_key_hashes=(hashlib.sha256(b"secret").hexdigest(),))
    with running(create_app(loaded(token_processor), settings=settings)) as server:
        tab = opened(server=server, expected=("401",))
        tab.wait_for_selector("#key-form")
        assert "Enter a key" in tab.inner_text("#failure")
        tab.fill("#key", "wrong")
        tab.keyboard.press("Enter")
        until(tab, "document.querySelector('#failure').textContent.includes('not valid')")
        tab.fill("#key", "secret")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#passage")
        assert tab.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
        assert "secret" not in tab.content()
        assert "$API_KEY" in tab.inner_text("#code")


@pytest.mark.slow
def test_errors_say_what_to_do(opened, models):
    settings = ServerSettings(max_characters=100)
    with running(create_app(models["spans"], settings=settings)) as server:
        tab = opened(fragment(text="Ana"), server=server, expected=("413", "ERR_CONNECTION_REFUSED"))
        tab.wait_for_selector("#passage")
        tab.fill("#text", "word " * 30)
        tab.wait_for_selector("#failure")
        assert "the limit is 100" in tab.inner_text("#failure")
        assert "Shorten the text" in tab.inner_text("#failure")
        assert tab.locator("#passage").count() == 0
        tab.fill("#text", "Bob")
        tab.wait_for_selector("#passage")
        assert not tab.is_visible("#failure")
    tab.fill("#text", "Bob and Ana")
    tab.wait_for_selector("#failure")
    assert "The server does not respond" in tab.inner_text("#failure")


@pytest.mark.slow
def test_the_page_below_a_path_of_another_application(opened, models):
    inner = create_app(models["spans"])
    app = Starlette(routes=[Mount("/nlp", inner)])
    app.state = inner.state
    with running(app) as server:
        tab = opened("/nlp/", server=server)
        tab.wait_for_selector("#passage")
        assert f"{server}/nlp/documents" in tab.inner_text("#code")
        tab.click("text=Endpoints")
        tab.wait_for_selector(".operation")
        assert f"{server}/nlp/documents" in tab.inner_text("#post-documents pre")


@pytest.mark.slow
def test_code_in_three_languages(opened, url):
    text = 'It\'s "Ana"\n$HOME `id` \u202e😀'
    tab = opened(fragment(model="spans", text=text))
    tab.wait_for_selector("#passage")
    expected = predicted(url, text)["predicted"]["spans"]
    curl = subprocess.run(["bash", "-c", tab.inner_text("#code")], capture_output=True, check=True)
    assert len(json.loads(curl.stdout)["predicted"]["spans"]) == len(expected)
    tab.focus("[role=tab][aria-selected=true]")
    tab.keyboard.press("ArrowRight")
    python = tab.evaluate("document.querySelector('#code').textContent")
    assert text in [node.value for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Constant)]
    tab.keyboard.press("ArrowRight")
    code = tab.evaluate("document.querySelector('#code').textContent")
    selected = tab.eval_on_selector_all("[role=tab]", "all => all.map((one) => one.getAttribute('aria-selected'))")
    assert selected == ["false", "false", "true"]
    assert "\u202e" not in code
    assert "offsets=utf-16" in code
    node = shutil.which("node")
    if node:
        program = [node, "--input-type=module", "--eval", code]
        output = subprocess.run(program, capture_output=True, check=True, text=True).stdout
        assert output.count("\n") >= len(expected)


@pytest.mark.slow
def test_the_documentation_has_every_endpoint(opened, url):
    tab = opened("/docs")
    tab.wait_for_selector(".operation")
    document = httpx2.get(f"{url}/openapi.json").json()
    paths = [path for path, methods in document["paths"].items() for _ in methods]
    assert sorted(tab.locator(".operation > h3 a").all_inner_texts()) == sorted(paths)
    assert tab.locator(".operation pre").count() == len(paths)
    example = tab.inner_text("#post-documents pre")
    answer = subprocess.run(["bash", "-c", example], capture_output=True, check=True)
    assert json.loads(answer.stdout)["complete"] is True
    tab.click("#post-documents summary >> nth=0")
    assert tab.locator("#post-documents .nested .fields").count() > 0


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core."""
    if path := os.environ.get("AXE_CORE"):
        return Path(path).read_text(encoding="utf-8")
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    packed = npm and subprocess.run([npm, "pack", "axe-core@4"], cwd=folder, capture_output=True, check=False)
    archive = next(folder.glob("axe-core-*.tgz"), None)
    if not packed or archive is None:
        pytest.skip("needs axe-core: its path in AXE_CORE, or npm and its registry")
    with tarfile.open(archive) as files:
        return files.extractfile("package/axe.min.js").read().decode()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", [fragment(model="spans", text=TEXT), fragment(model="multi", text=TEXT), "/docs"])
def test_no_violation_of_accessibility(opened, axe, path, width, theme):
    tab = opened(path, viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True)
    tab.wait_for_selector("#passage, .operation")
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    if path != "/docs":
        tab.click("#key-button")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.evaluate(axe)
    result = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [(one["id"], [node["html"] for node in one["nodes"]][:5]) for one in result["violations"]] == []
