"""The recipe's sandbox: what does not go together is refused before anything runs, and what is named is opened."""

import functools
from pathlib import Path
from typing import Any

import pytest

from sandbox.doctor import Examination
from sandbox.model import RemoteServer, SandboxUnavailable
from sandbox.open import open_sandbox
from sandbox.probes import ProbeFinding
from sandbox.warm.visible_files import PackageMissing
from selfplay.config.load import RecipeError, load_recipe
from selfplay.config.recipe import Recipe
from selfplay.config.sandbox import SandboxSettings
from selfplay.preflight import recipe as preflight
from selfplay.preflight.recipe import PreflightError, check_sandbox
from selfplay.rollouts.judge import sandbox_opener

SMALL = Path(__file__).parents[2] / "e2e" / "small.yaml"
REMOTE = ["sandbox.backend=remote", "sandbox.url=http://fusion:8080"]


def recipe(*overrides: str) -> Recipe:
    return load_recipe(SMALL, list(overrides))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sandbox.backend=remote"], "needs url"),
        (["sandbox.backend=remote", "sandbox.url=fusion:8080"], "is no http:// or https:// address"),
        (["sandbox.backend=remote", "sandbox.url=http://me:secret@fusion"], "looks like a secret"),
        ([*REMOTE, "sandbox.packages=[numpy]"], "cannot be chosen"),
        (["sandbox.url=http://fusion:8080"], "url is set, but the backend is auto"),
        (["sandbox.token_env=TOKEN"], "token_env is set"),
        (["sandbox.headers={X-Tenant: TENANT}"], "headers is set"),
        (["sandbox.backend=docker"], "bubblewrap"),
        (["sandbox.waive=[disks]"], "disk"),
        (["sandbox.packages=['../numpy']"], "packages"),
        ([*REMOTE, "sandbox.timeout_s=0"], "timeout_s"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        recipe(*overrides)
    assert "sandbox" in str(refusal.value)
    assert said in str(refusal.value)


def test_a_named_server_is_opened() -> None:
    overrides = ["sandbox.token_env=TOKEN", "sandbox.headers={X-Tenant: TENANT}", "sandbox.timeout_s=5"]
    opener = sandbox_opener(recipe(*REMOTE, *overrides, "sandbox.waive=[network]"))
    assert isinstance(opener, functools.partial)
    assert (opener.func, opener.args) == (open_sandbox, ("remote", ("network",)))
    server = RemoteServer("http://fusion:8080", "TOKEN", (("X-Tenant", "TENANT"),), timeout_s=5.0)
    assert opener.keywords == {"server": server, "packages": ()}


def test_none_is_named_by_default() -> None:
    assert SandboxSettings().server is None
    opener: Any = sandbox_opener(recipe())
    assert opener.args == ("auto", ())


def examined(**enforced: bool) -> Any:
    findings = tuple(ProbeFinding(limit, held, "as tried") for limit, held in enforced.items())
    return lambda *_: Examination("remote", "a server", findings)


def test_preflight_says_what_is_enforced_and_what_must_be_waived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "examine", examined(network=False, cpu=True))
    with pytest.raises(
        PreflightError, match=r"remote does not enforce network \(as tried\); name them in sandbox.waive"
    ):
        check_sandbox(recipe(*REMOTE))
    [finding] = check_sandbox(recipe(*REMOTE, "sandbox.waive=[network]"))
    assert finding.detail == "enforces cpu, by remote (a server)"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SandboxUnavailable("the variable TOKEN is not set"), "sandbox: the variable TOKEN"),
        (PackageMissing("numpy is not installed here"), "sandbox.packages: numpy"),
    ],
)
def test_preflight_names_the_setting(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def fail(*_: object) -> Examination:
        raise error

    monkeypatch.setattr(preflight, "examine", fail)
    with pytest.raises(PreflightError, match=said):
        check_sandbox(recipe())
