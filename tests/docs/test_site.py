"""What the site's hooks make of a page; mkdocs itself is not needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from handbook import site


def test_what_a_block_tells_tests_is_no_part_of_the_site() -> None:
    page = "```sh run\nselfplay\n```\n\n```python file=rules.py\n1\n```\n\n```text\n2\n```\n"
    assert site.on_page_markdown(page) == (
        '```sh\nselfplay\n```\n\n```python title="rules.py"\n1\n```\n\n```text\n2\n```\n'
    )


def test_each_page_lies_as_markdown_beside_its_html(tmp_path: Path) -> None:
    docs, built = tmp_path / "docs", tmp_path / "site"
    pages = {"index.md": "# Home\n\nAll of it. More.\n", "how-to/one.md": "# One\n\nDo [this](two.md): now.\n"}
    for name, text in pages.items():
        for folder in (docs, built):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text)
    nav = [{"Home": "index.md"}, {"How-tos": [{"Data": ["how-to/one.md"]}]}]
    site.on_post_build(SimpleNamespace(docs_dir=docs, site_dir=built, nav=nav, site_name="s", site_description="d"))
    assert {name: (built / name).read_text() for name in pages} == pages
    listed = (built / "llms.txt").read_text()
    assert "- [Home](index.md): All of it.\n" in listed
    assert "## how-to\n\n- [One](how-to/one.md): Do this\n" in listed
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/one.md"))
    assert site.on_page_content("<p>x</p>", page).endswith('<a href="one.md">This page as Markdown</a></p>')
