"""The OpenAPI schema is exact: what it allows is answered, what it forbids is refused, all as it declares."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from verifiers.rules.text import ChoiceVerifier, ExactVerifier, FormatVerifier
from verifiers.service.settings import ServiceLimits

sys.path.insert(0, str(Path(__file__).parent))
from live_service import serving

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SMALL = ServiceLimits(max_items=8, max_completion_chars=1000, max_tests=8)
TIGHT = ServiceLimits(max_items=2, max_completion_chars=20, max_tests=1, max_item_s=5.0, max_time_limit_s=5.0)
OPERATIONS = [
    ("POST", "/v1/score"),
    ("POST", "/v1/openrlhf"),
    ("GET", "/v1/verifiers"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
]


@pytest.fixture(scope="module")
def several() -> Iterator[str]:
    """The address of a service with three verifiers and a token."""
    verifiers = {"format": FormatVerifier(), "exact": ExactVerifier(), "choice": ChoiceVerifier()}
    with serving(verifiers, SMALL, tokens=[TOKEN]) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def single() -> Iterator[str]:
    """The address of a service with one verifier, tight limits and no token."""
    with serving({"exact": ExactVerifier()}, TIGHT) as client:
        yield str(client.base_url).rstrip("/")


def check(case: schemathesis.Case) -> None:
    """Calls and compares with the schema, which can't say that OpenRLHF's lists must be of one length."""
    body = case.body if case.path == "/v1/openrlhf" and isinstance(case.body, dict) else {}
    lengths = {len(body[name]) for name in ("query", "prompts", "labels") if isinstance(body.get(name), list)}
    if len(lengths) > 1:
        response = case.call(headers=BEARER)
        case.validate_response(response, excluded_checks=[positive_data_acceptance])
        assert 400 <= response.status_code < 500
    else:
        case.call_and_validate(headers=BEARER)


def try_all(schema: BaseSchema, method: str, path: str, mode: GenerationMode, examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def trying(case: schemathesis.Case) -> None:
        check(case)

    trying()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("service", ["several", "single"])
def test_what_the_schema_allows_is_answered(
    request: pytest.FixtureRequest, service: str, method: str, path: str
) -> None:
    url = request.getfixturevalue(service)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=BEARER)
    assert {operation.ok().label for operation in schema.get_all_operations()} == {
        " ".join(operation) for operation in OPERATIONS
    }
    try_all(schema, method, path, GenerationMode.POSITIVE, 12 if method == "POST" else 2)


@pytest.mark.parametrize("path", ["/v1/score", "/v1/openrlhf"])
@pytest.mark.parametrize("service", ["several", "single"])
def test_what_the_schema_forbids_is_refused(request: pytest.FixtureRequest, service: str, path: str) -> None:
    url = request.getfixturevalue(service)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=BEARER)
    try_all(schema, "POST", path, GenerationMode.NEGATIVE, 12)


@pytest.mark.long
@pytest.mark.parametrize("service", ["several", "single"])
def test_everything_that_schemathesis_tries(request: pytest.FixtureRequest, service: str, tmp_path: Path) -> None:
    """Examples, the edges of every constraint, random requests, other methods, missing and wrong tokens."""
    config = tmp_path / "schemathesis.toml"
    # The schema can't say that OpenRLHF's lists must be of one length.
    config.write_text(
        '[[operations]]\ninclude-path = "/v1/openrlhf"\n[operations.checks]\npositive_data_acceptance.enabled = false\n'
    )
    url = request.getfixturevalue(service)
    tool = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
    options = ["--max-examples", "600", "--workers", "1", "-H", f"Authorization: {BEARER['Authorization']}"]
    done = subprocess.run([*tool, *options], cwd=tmp_path, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
