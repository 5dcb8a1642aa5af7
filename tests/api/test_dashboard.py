"""The dashboard's files as they are served: to anyone, under a strict policy, and only those."""

import gzip
import re

import pytest

from oxbot.api.page_files import FOLDER, chart_library, page_files
from tests.api.stage import Stage

pytestmark = pytest.mark.anyio

LINES_MAX = 400
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(['\"]|\.srcdoc"
    r"|setAttribute\(['\"]style"
)
OTHER_HOST = re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)
ALLOWED_HOSTS = ("http://www.w3.org/2000/svg",)


async def test_the_page_is_served_to_anyone_under_a_policy_that_lets_nothing_inline_run(stage: Stage) -> None:
    async with stage.client() as stranger:
        page = await stranger.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
    assert "{{" not in page.text


async def test_everything_that_the_page_names_is_there_and_is_kept_for_ever(stage: Stage) -> None:
    async with stage.client() as stranger:
        page = (await stranger.get("/")).text
        named = re.findall(r'(?:href|src|content)="(/page/[^"]+)"', page)
        files = [await stranger.get(path) for path in named]
    assert len(set(named)) > 20
    assert {file.status_code for file in files} == {200}
    assert {file.headers["cache-control"] for file in files} == {"public, max-age=31536000, immutable"}
    kinds = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    assert [file.headers["content-type"] for file in files] == [kinds[path.rpartition(".")[2]] for path in named]
    assert {file.headers["content-security-policy"] for file in files} == {files[0].headers["content-security-policy"]}


async def test_a_file_that_is_known_is_not_sent_again_and_one_that_is_not_is_sent_small(stage: Stage) -> None:
    path = chart_library().path
    async with stage.client() as stranger:
        packed = await stranger.get(path, headers={"Accept-Encoding": "br, gzip;q=0.8"})
        plain = await stranger.get(path, headers={"Accept-Encoding": "identity"})
        known = await stranger.get("/", headers={"If-None-Match": (await stranger.get("/")).headers["etag"]})
        changed = await stranger.get("/", headers={"If-None-Match": 'W/"another", "yet another"'})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.content == plain.content == gzip.decompress(chart_library().file().packed)
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in plain.headers
    assert (known.status_code, known.content) == (304, b"")
    assert changed.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_the_page_takes_no_other_method_than_those_that_read(stage: Stage, method: str) -> None:
    async with stage.client() as stranger:
        assert (await stranger.request(method, "/")).status_code == 401
        assert (await stranger.head("/")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/index.html",
        "/page/{folder}",
        "/page/{folder}/",
        "/page/{folder}/index.html",
        "/page/{folder}/..%2f..%2fdashboard.py",
        "/page/{folder}/%2e%2e/%2e%2e/dashboard.py",
        "/page/{folder}//main.js",
        "/page/{folder}/main.js/",
        "/page/0000000000000000/main.js",
        "/page/plotly-0/plotly.min.js",
        "/page/{folder}/../../../../../etc/passwd",
    ],
)
async def test_no_other_path_leads_to_a_file(stage: Stage, path: str) -> None:
    folder = next(each for each in page_files() if each != "/").split("/")[2]
    async with stage.client() as stranger:
        assert (await stranger.get(path.replace("{folder}", folder))).status_code == 401


def test_no_file_of_the_page_makes_markup_of_text_or_names_another_host() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= LINES_MAX, path.name
        assert SINKS.findall(text) == [], path.name
        for allowed in ALLOWED_HOSTS:
            text = text.replace(allowed, "")
        assert OTHER_HOST.findall(text) == [], path.name


def test_a_change_of_any_file_changes_the_path_of_all_but_the_page_itself() -> None:
    paths = set(page_files())
    assert len({path.split("/")[2] for path in paths - {"/"}}) == 1
    assert {path.rpartition("/")[2] for path in paths - {"/"}} == {
        path.name for path in FOLDER.iterdir() if path.name != "index.html"
    }
