"""The deployment files agree with each other and with the command that they start, without Docker and Kubernetes."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import nlp_inference
from nlp_inference.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILES = sorted(DEPLOY.rglob("Dockerfile"))
SERVING = Path(nlp_inference.__file__).parent / "serving"
needs_the_server = pytest.mark.skipif(not SERVING.is_dir(), reason="this version has no server")
FAKE = '#!/bin/sh\nfor word in "$0" "$@"; do echo "${word##*/}"; done\n'


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, with continued lines joined."""
    lines = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


def documents() -> dict[str, Any]:
    found = [yaml.safe_load(path.read_text()) for path in sorted(KUBERNETES.glob("*.yaml"))]
    return {one["kind"]: one for one in found}


def container() -> dict[str, Any]:
    (found,) = documents()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return found


@pytest.fixture
def started(tmp_path: Path):
    """What the entry point runs with some words and variables: each word of the command."""
    for name in ("nlp-inference", "python"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)

    def start(*words: str, **variables: str) -> list[str]:
        environment = {**variables, "PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
        command = [str(DEPLOY / "entrypoint.sh"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()

    return start


def test_the_entry_point_starts_what_each_service_expects(started) -> None:
    serve = ["nlp-inference", "serve", "model", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104 - in a container
    assert started("serve") == started() == serve
    assert started("serve", "--timeout", "9") == [*serve, "--timeout", "9"]
    assert started("serve", ALLOW_UNAUTHENTICATED="1") == [*serve, "--allow-unauthenticated"]
    assert started("serve", AIP_HTTP_PORT="9000")[-1] == "9000"
    assert started("serve", PORT="9001")[-1] == "9001"
    assert started("serve", MODEL="a=org/x b=org/y")[2:4] == ["x", "y"]  # the fake prints what follows the last slash
    assert started("verify", "model", "--json") == ["nlp-inference", "verify", "model", "--json"]
    program, _, script = started("healthcheck", PORT="9002")
    assert (program, script) == ("python", "readyz', timeout=2)")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_runs_without_root_and_says_when_it_is_ready(path: Path) -> None:
    found = instructions(path)
    users = [value for name, value in found if name == "USER"]
    assert users
    assert not any(user.partition(":")[0] in ("root", "0") for user in users)
    assert users[-1].partition(":")[0].isdecimal()  # so that Kubernetes can tell that it is not root
    (port,) = (value for name, value in found if name == "EXPOSE")
    (check,) = (value for name, value in found if name == "HEALTHCHECK")
    assert f":{port}/readyz" in check or "entrypoint.sh" in check
    assert all("-slim" in value for name, value in found if name == "FROM" and "python" in value)


def test_what_the_image_copies_is_sent_to_the_builder_and_nothing_else() -> None:
    sent = {
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for name, value in instructions(DEPLOY / "Dockerfile"):
        words = [word for word in shlex.split(value) if not word.startswith("--")]
        if name == "COPY" and "--from=" not in value:
            copied |= set(words[:-1])
    assert copied == sent
    assert all((ROOT / one).exists() for one in copied)
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {package["project"]["readme"], *package["project"]["license-files"]}
    needed |= {one["include"] for one in package["tool"]["poetry"]["packages"]}
    assert needed <= copied


def test_the_manifests_name_the_same_pods_and_ports() -> None:
    found = documents()
    assert set(found) == {
        "Deployment",
        "HorizontalPodAutoscaler",
        "Kustomization",
        "PodDisruptionBudget",
        "Service",
    }
    deployment = found["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    assert (
        found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > found["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    )
    assert set(found["Kustomization"]["resources"]) == {one.name for one in KUBERNETES.glob("*.yaml")} - {
        "kustomization.yaml"
    }
    (port,) = container()["ports"]
    exposed = dict(instructions(DEPLOY / "Dockerfile"))["EXPOSE"]
    assert str(port["containerPort"]) == exposed
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert {one["httpGet"]["port"] for name, one in container().items() if name.endswith("Probe")} == {port["name"]}
    annotations = deployment["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == exposed


def test_a_pod_has_no_privileges_and_time_to_complete_its_requests() -> None:
    pod = documents()["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    user = dict(instructions(DEPLOY / "Dockerfile"))["USER"].partition(":")[0]
    assert str(pod["securityContext"]["runAsUser"]) == user
    security = container()["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container()["resources"]["limits"].keys() == {"cpu", "memory"}
    words = container()["args"]
    seconds = sum(int(words[words.index(option) + 1]) for option in ("--shutdown-delay", "--shutdown-timeout"))
    assert pod["terminationGracePeriodSeconds"] > seconds
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["server"]
    assert (compose["read_only"], compose["cap_drop"]) == (True, ["ALL"])
    assert all(one.startswith("127.0.0.1:") for one in compose["ports"])
    assert (DEPLOY / compose["build"]["context"] / compose["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def test_the_space_names_its_port_and_its_model() -> None:
    space = DEPLOY / "huggingface_space"
    _, front, _ = (space / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    found = dict(instructions(space / "Dockerfile"))
    assert card["sdk"] == "docker"
    assert str(card["app_port"]) == found["EXPOSE"]
    assert card["models"] == [found["ENV"].removeprefix("MODEL=")]
    assert f"--port {card['app_port']} " in found["CMD"]


def starts() -> list[list[str]]:
    """The words of each call of `nlp-inference serve` in the deployment files, after `serve`."""
    texts = [path.read_text() for path in (*DOCKERFILES, DEPLOY / "entrypoint.sh")]
    found = [re.sub(r'[\\"\]]', "", text).split() for text in re.findall(r"nlp-inference serve (.*)", "\n".join(texts))]
    return [*found, container()["args"][1:], ["--allow-unauthenticated"]]


@needs_the_server
def test_the_command_has_each_option_variable_and_endpoint() -> None:
    parameters = get_command(app).commands["serve"].params
    options = {option for one in parameters for option in one.opts}
    used = {word for words in starts() for word in words if word.startswith("--")}
    assert used >= {"--host", "--port", "--shutdown-delay", "--allow-unauthenticated", "--frame-ancestor"}
    assert used - options == set()
    sources = "\n".join(path.read_text() for path in (*SERVING.rglob("*.py"), SERVING.parent / "cli" / "serve.py"))
    probed = {one["httpGet"]["path"] for name, one in container().items() if name.endswith("Probe")}
    for needed in (*probed, "/metrics", *(one["name"] for one in container()["env"])):
        assert f'"{needed}"' in sources
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "serve" in extras
