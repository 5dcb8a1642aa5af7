"""One installation and one browser for all tests of a module; each test has a tab and a witness of its own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.page.installation import Installation, installed
from tests.page.witness import Witness, watched

TEMPLATE = "oxbot_template"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def installation(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation with nothing in it but its administrator."""
    with installed(postgres_server, TEMPLATE, tmp_path_factory.mktemp("installation")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(installation: Installation) -> Iterator[Browser]:
    """Debian's Chromium, without a window; while it is open, its loop runs in this thread, and no other can."""
    del installation
    program = shutil.which("chromium")
    assert program is not None, "there is no Chromium: `make browser` installs Debian's"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What one person's browser remembers."""
    context = _new_context(browser)
    yield context
    context.close()


@pytest.fixture
def witness(context: BrowserContext, installation: Installation) -> Iterator[Witness]:
    """Somebody who watches a tab, and fails the test if anything goes wrong in it."""
    witness = watched(context.new_page(), installation.address)
    yield witness
    witness.check()


@pytest.fixture
def another_page(browser: Browser, installation: Installation) -> Iterator[Callable[[], Page]]:
    """Makes a tab of another person's browser at each call, each with a witness of its own."""
    witnesses: list[Witness] = []
    with ExitStack() as contexts:

        def opened() -> Page:
            context = _new_context(browser)
            contexts.callback(context.close)
            witnesses.append(watched(context.new_page(), installation.address))
            return witnesses[-1].page

        yield opened
        for witness in witnesses:
            witness.check()


@pytest.fixture
def page(witness: Witness) -> Page:
    """That tab."""
    return witness.page


def _new_context(browser: Browser) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": 1360, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(30_000)
    return context


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of what people see are put."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
