"""Requests made by schemathesis from docs/serve-openapi.json get replies that it describes."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from serving import served

from glyphsight.serve.app import ASKED, PASSED
from glyphsight.serve.settings import ServeSettings

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import checks  # noqa: E402

FILE = Path(__file__).parents[2] / "docs" / "serve-openapi.json"
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
described = schemathesis.openapi.from_path(FILE)


def test_the_description_has_every_path():
    paths = {re.sub(r":path", "", path) for path in (*ASKED, *PASSED)}
    assert set(json.loads(FILE.read_text("utf-8"))["paths"]) == paths | {"/health", "/metrics"}


@pytest.fixture(scope="module")
def embedded(loop):
    with served(loop, ServeSettings(model="nano-digits", timeout=10.0)) as client:
        yield client.url


@pytest.mark.slow
@described.include(method="POST").parametrize()
@settings(max_examples=5, suppress_health_check=list(HealthCheck), deadline=None)
def test_the_embedded_model_replies_as_described(case, embedded):
    case.validate_response(case.call(base_url=embedded), checks=CHECKS)
