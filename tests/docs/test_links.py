"""No link of the pages is dead, no page is out of reach, each has a title: on GitHub as on the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, prose

PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
SHELVES = ("tutorials", "how-to", "reference", "explanation", "results")


def links(page: Path) -> list[tuple[Path, str]]:
    """The files and anchors that a page leads to."""
    found = LINK.findall(prose(page.read_text(encoding="utf-8")))
    return [((page.parent / name).resolve() if name else page, anchor) for name, anchor in found]


def anchors(page: Path) -> set[str]:
    """Of headings, as GitHub and the site make them alike: small letters, no marks, hyphens for blanks."""
    heads = re.findall(r"^#+ (.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
    return set(plain) | set(re.findall(r'id="([^"]+)"', page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    dead = [f"{to}#{anchor}" for to, anchor in links(page) if not to.exists()]
    dead += [f"{to}#{anchor}" for to, anchor in links(page) if anchor and to in PAGES and anchor not in anchors(to)]
    assert dead == []


def test_every_page_is_reached_from_the_readme() -> None:
    seen = {ROOT / "README.md"}
    ahead = list(seen)
    while ahead:
        new = {to for to, _ in links(ahead.pop()) if to.suffix == ".md" and to.exists()} - seen
        seen |= new
        ahead += new
    assert [page for page in PAGES if page not in seen] == []


@pytest.mark.parametrize("shelf", SHELVES)
def test_a_shelf_names_its_pages(shelf: str) -> None:
    """In its index, so that none is found by luck alone."""
    named = {to for to, _ in links(DOCS / shelf / "index.md")}
    assert {page.name for page in (DOCS / shelf).glob("*.md")} - {page.name for page in named} - {"index.md"} == set()


def test_a_page_has_one_title_and_stands_on_a_shelf() -> None:
    titles = {page: re.findall(r"^# (.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE) for page in PAGES}
    assert {page: found for page, found in titles.items() if len(found) != 1} == {}
    assert {page.relative_to(DOCS).parts[0] for page in PAGES} == {*SHELVES, "index.md"}
