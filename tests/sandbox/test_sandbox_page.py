"""The examples of docs/how-to/sandbox.md run as they stand, and its recipes are recipes."""

import re
import shutil

import pytest
import yaml

from sandbox.doctor import LIMITS, backends
from sandbox.languages import LANGUAGES
from sandbox.model import Limits, Status
from selfplay.config.sandbox import SandboxSettings
from tests.docs.pages import pages

PAGE = pages("how-to/sandbox.md", "reference/sandbox.md")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_example_runs(code: str) -> None:
    if "cpp" in code and shutil.which("g++") is None:
        pytest.skip("no g++ on this host")
    exec(compile(code, "docs/how-to/sandbox.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("text", blocks("yaml"))
def test_recipe_is_one(text: str) -> None:
    SandboxSettings(**yaml.safe_load(text)["sandbox"])


def test_every_limit_status_and_backend_is_named() -> None:
    assert len(blocks("python")) == len(blocks("yaml")) == 2
    for name in (*LIMITS, *Status, *Limits.__dataclass_fields__, *backends()):
        assert f"`{name}`" in PAGE or f"`{name}," in PAGE or name in backends(), name
    assert all(f"`{name}`" in PAGE for name in LANGUAGES)
