"""The portal in a real browser: it is served on loopback, and its pages are looked at.

Screenshots are kept below VIEWLEDGER_SCREENSHOTS, where that is set.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.http_visit import Portal
from tests.browser import loopback
from tests.browser import served as serving

SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@contextmanager
def served(portal_at: Callable[[str], Portal]) -> Iterator[str]:
    """Serve the portal that is made for an address on loopback."""
    with loopback() as (listener, address), serving(FastAPI(routes=portal_routes(portal_at(address))), listener):
        yield address


CUT_CAPTIONS = """[...document.querySelectorAll(".scroll caption")].filter((caption) =>
  caption.getBoundingClientRect().right > caption.closest(".scroll").getBoundingClientRect().right + 1
).map((caption) => caption.textContent)"""


UNMARKED_TABLES = """[...document.querySelectorAll(".scroll")].filter((box) =>
  box.scrollWidth > box.clientWidth && !getComputedStyle(box).backgroundImage.includes("gradient")
).map((box) => box.getAttribute("aria-label"))"""
"""Tables that are wider than their box, without the shadow on the edge beyond which there is more."""


def looked_at(page: Page, name: str, heading: str) -> None:
    """The page of a heading fits its window, passes the accessibility checks, and is kept as a picture."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    page.wait_for_load_state()  # a click returns before the next page is there
    width = page.evaluate("document.documentElement.scrollWidth")
    viewport = page.viewport_size
    assert viewport is not None
    assert width <= viewport["width"], f"{name} is wider than its window"
    assert page.evaluate(CUT_CAPTIONS) == [], f"{name}: a caption ends beyond what is seen of its table"
    assert page.evaluate(UNMARKED_TABLES) == [], f"{name}: nothing shows that a table goes on beside the window"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    if folder := os.environ.get("VIEWLEDGER_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}-{viewport['width']}.png", full_page=True)
