"""Schemathesis against a real web server: responses match the OpenAPI document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.http.api_server import TOKENS, ApiServer, open_api_server
from tests.services.platform import Platform
from tests.unit.web.support import png

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]

# Random bytes match the schema of a drawing but are not a drawing, so they are rightly rejected with 422.
UNFIT_CHECKS = "positive_data_acceptance"
EXAMPLES = "40"

PLANT = "ulm"


def schemathesis(api: ApiServer, directory: Path, *options: str) -> None:
    """Run Schemathesis as the tenant acme and for a plant. `directory` may contain its configuration."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.platform.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {next(iter(TOKENS))}", "--exclude-checks", UNFIT_CHECKS]
    command += ["--max-examples", EXAMPLES, "--request-timeout", "10", "--no-color", "--seed", "1", *options]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]


def test_given_any_request_then_no_server_error_and_no_response_outside_the_schema(
    platform: Platform, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"path.plant" = "{PLANT}"\n"query.plant" = "{PLANT}"\n')
    plant_tokens = json.dumps({next(iter(TOKENS)): PLANT})
    with open_api_server(platform, queue_limit="100000", redis_url=redis_url, plant_tokens=plant_tokens) as api:
        # The event stream of a queued job never ends; the other test reads one that does.
        schemathesis(api, tmp_path, "--exclude-path-regex", "/events$")


def test_given_a_rendered_job_when_its_urls_are_requested_then_every_response_matches_the_schema(
    platform: Platform, tmp_path: Path
) -> None:
    platform.start_worker()
    with open_api_server(platform) as api:
        job = api.post(png(40, 30), {"prefer": "wait=30"}).json()
        assert job["state"] == "succeeded"
        (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"path.render" = "{job["id"]}"\n"path.number" = 0\n')
        options = ["--phases", "coverage,fuzzing", "--include-path-regex", r"^/renders/\{render\}"]
        schemathesis(api, tmp_path, *options, "--exclude-method", "DELETE")
        assert api.acme.get(job["links"]["self"]).json()["state"] == "succeeded"
