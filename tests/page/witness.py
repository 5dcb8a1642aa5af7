"""Sees whatever a browser complains of while a page is open, and what a page may never do."""

import re
from typing import NamedTuple

from playwright.sync_api import ConsoleMessage, Error, Page, Request

VIOLATIONS = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
  });
"""


REFUSED = re.compile(r"Failed to load resource: (?:the server responded with a status of (\d+)|net::)")


class Witness(NamedTuple):
    """What it saw: errors and warnings of the console, requests to others, violations of the page's policy.

    ``refusals`` are the statuses of answers that the test asks for, of which every browser tells its console, and 0 for
    that the server cannot be reached.
    """

    page: Page
    complaints: list[str]
    strangers: list[str]
    refusals: set[int]

    def check(self) -> None:
        """Fail if there was anything."""
        assert self.complaints == [], self.complaints
        assert self.strangers == [], self.strangers
        assert self.page.evaluate("window.violations") == []


def watched(page: Page, address: str) -> Witness:
    """A witness of this page, from before its first request on."""
    witness = Witness(page, [], [], set())

    def said(message: ConsoleMessage) -> None:
        refused = REFUSED.search(message.text)
        if refused is not None and int(refused[1] or 0) in witness.refusals:
            return
        if message.type in {"error", "warning", "assert"}:
            witness.complaints.append(f"{message.type}: {message.text} {message.location}")

    def failed(error: Error) -> None:
        witness.complaints.append(f"thrown: {error}")

    def asked(request: Request) -> None:
        if not request.url.startswith((address + "/", "data:")):
            witness.strangers.append(request.url)

    page.on("console", said)
    page.on("pageerror", failed)
    page.on("request", asked)
    page.add_init_script(VIOLATIONS)
    return witness
