"""Hooks of mkdocs: each page lies as Markdown beside its HTML, and `llms.txt` lists them for language models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SUMMARY = re.compile(r"^# .+\n+((?:[^\n#|`<!-].*\n)+)", re.MULTILINE)


FENCE = re.compile(r"^([ ]*```\w+)[ ]+([^\n]+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What stands behind a block's language is for the tests that run it; a file's name is its title."""

    def head(fence: re.Match[str]) -> str:
        return f'{fence[1]} title="{fence[2][5:]}"' if fence[2].startswith("file=") else fence[1]

    return FENCE.sub(head, markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Each page ends with a link to its Markdown."""
    name = Path(page.file.src_uri).name
    return f'{html}\n<p class="plain"><a href="{name}">This page as Markdown</a></p>'


def on_post_build(config: Any, **_: Any) -> None:
    """Copies the pages, and writes their list and all of them in one file."""
    docs, site = Path(config.docs_dir), Path(config.site_dir)
    pages = [docs / name for name in _names(config.nav)]
    for page in pages:
        copy = site / page.relative_to(docs)
        copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    shelf = ""
    for page in pages:
        place = page.relative_to(docs)
        if place.parent.name != shelf:
            shelf = place.parent.name
            lines += ["", f"## {shelf}", ""]
        lines.append(f"- [{_title(page)}]({place.as_posix()}): {_summary(page)}")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = (f"<!-- {page.relative_to(docs)} -->\n\n{page.read_text(encoding='utf-8')}" for page in pages)
    (site / "llms-full.txt").write_text("\n".join(whole), encoding="utf-8")


def _names(nav: Any) -> list[str]:
    """The pages of the navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [name for part in parts for name in _names(part)]


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _summary(page: Path) -> str:
    """The first sentence of a page."""
    found = SUMMARY.search(page.read_text(encoding="utf-8"))
    text = " ".join(found[1].split()) if found else _title(page)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.split(r"(?<=[.:;?])\s", plain)[0].rstrip(":;")
