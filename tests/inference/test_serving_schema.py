"""Generated requests for every endpoint of the OpenAPI document, valid and invalid, by schemathesis (slow).

Install it in its own environment, because its dependencies are not those of the lock, and name it:
`SCHEMATHESIS=PATH/bin/schemathesis pytest -m slow tests/inference/test_serving_schema.py`.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from served import running

from nlp_inference.serving import ModelSource, ServerSettings, create_app

COMMAND = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
KEY = "a-key"
CASES = 5000

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
"""Of its checks, those that a schema can decide: a model without heads refuses every head, for example."""

RUNS = (
    # Its response is 200 with an error for each line that is not valid.
    ("--include-path", "/documents/stream", "--checks", ",".join(set(CHECKS) - {"negative_data_rejection"}), "-n450"),
    ("--include-path", "/models/{model}/reload", "--checks", ",".join(CHECKS), "-n20"),  # each loads the model
    ("--exclude-path-regex", "stream|reload", "--checks", ",".join(CHECKS), "-n450"),
)


def generated(url, folder, *options):
    """Run schemathesis, check that it found nothing, and return the number of its requests."""
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    command = [COMMAND, "run", f"{url}/openapi.json", "-H", f"Authorization: Bearer {KEY}", *options]
    command += ["--phases", "coverage,fuzzing", "--continue-on-failure", "--no-shrink", "--seed", "1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:]
    return int(re.search(r"(\d+) generated", done.stdout).group(1))


@pytest.mark.slow
@pytest.mark.skipif(COMMAND is None, reason="schemathesis is not installed; name it in SCHEMATHESIS")
def test_no_generated_request_makes_the_server_fail(saved_model, tmp_path):
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings = ServerSettings(api_key_hashes=[digest], admin_key_hashes=[digest])
    app = create_app({"a": ModelSource(str(saved_model), verify=False)}, settings=settings)
    with running(app) as url:
        count = sum(generated(url, tmp_path, *options) for options in RUNS)
    assert count >= CASES
