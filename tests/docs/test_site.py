"""What the site's hooks make of a page; mkdocs itself is not needed."""

from __future__ import annotations

from handbook import site


def test_what_a_block_tells_tests_is_no_part_of_the_site() -> None:
    page = "```sh run\nselfplay\n```\n\n```python file=rules.py\n1\n```\n\n```text\n2\n```\n"
    assert site.on_page_markdown(page) == (
        '```sh\nselfplay\n```\n\n```python title="rules.py"\n1\n```\n\n```text\n2\n```\n'
    )
