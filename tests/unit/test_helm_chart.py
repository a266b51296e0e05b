"""The Helm chart: its values, its least rights, and, where helm is installed, what it renders."""

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jobs.settings.declared import SETTINGS
from jobs.settings.state_home import PROJECT
from tests.command_lines import parsed
from tests.unit.test_compose_file import OWN_SECRETS, SERVICES, SMTP_URL, WEBHOOK_SECRET

CHART = PROJECT / "deploy" / "helm"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
EXAMPLE: dict[str, Any] = yaml.safe_load((CHART / "example-values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
KEY_FILES = set(VALUES["keyFiles"])
SECRETS = {*VALUES["secrets"], *VALUES["noticeSecrets"]}
KUBERNETES = "1.34.0"
EVERYTHING = {
    "batch": {"resident": False},
    "speed": {"autoscaling": {"enabled": True}},
    "hdfs": {"configMap": "hadoop"},
    "spark": {"master": "spark://one:7077"},
    "keyFiles": {name: {"name": name.lower().replace("_", "-")} for name in sorted(KEY_FILES)},
    "noticeSecrets": {name: {"name": "mail"} for name in ("VIEWLEDGER_NOTICES_POSTGRES_URL", "VIEWLEDGER_SMTP_URL")},
    "checkpoints": {"existingClaim": "checkpoints"},
    "backup": {"existingClaim": "backups"},
    "settings": {
        "VIEWLEDGER_TRUSTED_PROXIES": "10.0.0.1",
        "VIEWLEDGER_RETENTION_DAYS": 500,
        "VIEWLEDGER_NOTICES_FROM": "a@b.example",
    },
    "ingress": {"enabled": True, "collectorHost": "in.example.com", "apiHost": "api.example.com", "tlsSecret": "tls"},
    "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
}


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Values as helm merges them: tables by key, everything else as a whole."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def problems(values: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [f"{'.'.join(map(str, each.path))}: {each.message}" for each in validator.iter_errors(values)]


def given_secrets() -> Iterator[tuple[str, set[str]]]:
    """The component of each pod in the templates, and the settings whose secrets it is given."""
    for path in (CHART / "templates" / "processes.yaml", CHART / "templates" / "scheduled.yaml"):
        text = path.read_text()
        lists = dict(re.findall(r"\{\{- \$(\w+) := list ((?:\"\w+\" ?)+)\}\}", text))
        for component, rest in re.findall(r"\"component\" \"([\w-]+)\"(.*?)\) \}\}", text, re.DOTALL):
            named = rest + "".join(lists[name] for name in re.findall(r"\$(\w+)", rest) if name in lists)
            secrets = set(re.findall(r"\"(VIEWLEDGER_\w+)\"", named)) & (SECRETS | KEY_FILES)
            yield component, secrets


def test_the_example_names_the_least_and_the_values_alone_are_refused() -> None:
    assert problems(merged(VALUES, EXAMPLE)) == []
    assert problems(merged(VALUES, EXAMPLE, EVERYTHING)) == []
    assert problems(VALUES)


@pytest.mark.parametrize("name", VALUES["secrets"])
def test_a_missing_secret_is_one_sentence_that_names_it(name: str) -> None:
    values = merged(VALUES, EXAMPLE)
    del values["secrets"][name]["name"]
    assert problems(values) == [f"secrets.{name}: 'name' is a required property"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"secrets": {"VIEWLEDGER_REDIS_URl": {"name": "x", "key": "y"}}}, "secrets"),
        ({"kafka": {"bootstrap": "kafka"}}, "kafka.bootstrap"),
        ({"kafka": {"bootstrap": "a:1, b:2"}}, "kafka.bootstrap"),
        ({"hdfs": {"url": "file:///tmp"}}, "hdfs.url"),
        ({"api": {"replicas": 0}}, "api.replicas"),
        ({"nightly": {"maintain": "1 o'clock"}}, "nightly.maintain"),
        ({"settings": {"PATH": "bin"}}, "settings"),
        ({"spark": {"master": "local"}}, "spark.master"),
        ({"ingress": {"enabled": True, "collectorHost": "a", "apiHost": "b"}}, "ingress.tlsSecret"),
        ({"colector": {"replicas": 3}}, ""),
    ],
)
def test_wrong_values_are_named_by_their_place(change: dict[str, Any], place: str) -> None:
    assert [each.partition(": ")[0] for each in problems(merged(VALUES, EXAMPLE, change))] == [place]


def test_every_secret_is_a_secret_of_the_product_and_every_key_file_a_setting() -> None:
    assert all(SETTINGS[name].is_secret for name in SECRETS)
    assert SETTINGS.keys() >= KEY_FILES
    assert set(VALUES["secrets"]) == set(SCHEMA["properties"]["secrets"]["required"])


def test_a_process_gets_the_secrets_that_it_gets_under_compose_and_no_others() -> None:
    given = dict(given_secrets())
    without_redis = {"collector", "sql", "notices"}
    of_compose = {name: OWN_SECRETS[name] for name in ("collector", "speed", "api", "sql", "batch", "backup")}
    of_compose |= dict.fromkeys(("batch-hourly", "maintain", "reconcile", "audit"), OWN_SECRETS["nightly"])
    of_compose |= {"billing": OWN_SECRETS["billing"], "checkpoint": OWN_SECRETS["billing-nightly"]}
    channels = {each.removesuffix("_FILE") for each in (SMTP_URL, WEBHOOK_SECRET)}
    of_compose["notices"] = {"VIEWLEDGER_NOTICES_POSTGRES_URL", *channels}
    assert given == {
        name: secrets | (set() if name in without_redis else {"VIEWLEDGER_REDIS_URL"})
        for name, secrets in of_compose.items()
    }


def test_ports_of_metrics_are_those_of_compose() -> None:
    text = (CHART / "templates" / "processes.yaml").read_text()
    for process in ("collector", "api", "speed", "batch"):
        name = f"VIEWLEDGER_{process.upper()}_METRICS_PORT"
        assert f'"{name}" "{SERVICES[process]["environment"][name]}"' in text


def template(tmp_path: Path, *layers: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    if (helm := shutil.which("helm")) is None:
        pytest.skip("helm is not installed (go install helm.sh/helm/v3/cmd/helm@v3.22.0)")
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(merged(*layers)))
    words = [helm, "template", "views", str(CHART), "--values", str(path), "--kube-version", KUBERNETES]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def rendered(tmp_path: Path, *layers: dict[str, Any]) -> list[dict[str, Any]]:
    result = template(tmp_path, *layers)
    assert result.returncode == 0, result.stderr
    return [each for each in yaml.safe_load_all(result.stdout) if each]


def pods_of(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in objects:
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield each["metadata"]["name"], template["spec"]


@pytest.mark.parametrize("layers", [(), (EVERYTHING,)], ids=["least", "everything"])
def test_every_pod_is_locked_down_and_runs_a_command_that_exists(tmp_path: Path, layers: tuple[Any, ...]) -> None:
    objects = rendered(tmp_path, EXAMPLE, *layers)
    pods = dict(pods_of(objects))
    assert {"views-collector", "views-api", "views-speed", "views-sql", "views-billing", "views-migrate"} <= set(pods)
    for name, pod in pods.items():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {each["name"] for each in container["volumeMounts"]}
        assert mounted == {each["name"] for each in pod["volumes"]}
        if name != "views-figures":
            command, _ = parsed(container["args"])
            assert command.work()
            assert all(each["name"].removesuffix("_FILE") in SETTINGS or each["name"] in SETTINGS
                       for each in container["env"] if each["name"].startswith("VIEWLEDGER_"))  # fmt: skip


def test_everything_that_can_be_turned_on_is_rendered(tmp_path: Path) -> None:
    objects = rendered(tmp_path, EXAMPLE, EVERYTHING)
    for name, pod in pods_of(objects):
        if name != "views-figures":
            (container,) = pod["containers"]
            assert {"name": "HADOOP_CONF_DIR", "value": "/etc/hadoop"} in container["env"], name
            assert {"name": "hadoop", "mountPath": "/etc/hadoop", "readOnly": True} in container["volumeMounts"], name
    kinds = [each["kind"] for each in objects]
    assert kinds.count("CronJob") == 8
    assert {"HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget"} <= set(kinds)


def test_payees_are_told_by_e_mail_only_where_it_is_turned_on_and_what_lacks_then_is_named(tmp_path: Path) -> None:
    given = {"noticeSecrets": EVERYTHING["noticeSecrets"], "settings": {"VIEWLEDGER_NOTICES_FROM": "a@b.example"}}
    assert "views-notices" not in dict(pods_of(rendered(tmp_path, EXAMPLE)))
    pods = dict(pods_of(rendered(tmp_path, EXAMPLE, given)))
    file = "/run/secrets/viewledger/VIEWLEDGER_SMTP_URL"
    (container,) = pods["views-notices"]["containers"]
    assert {"name": "VIEWLEDGER_SMTP_URL_FILE", "value": file} in container["env"]
    for name in ("views-notices", "views-migrate"):
        assert "VIEWLEDGER_NOTICES_POSTGRES_URL_FILE" in str(pods[name]["containers"])
    for part in given:
        lacks = {key: value for key, value in given.items() if key != part}
        if part == "noticeSecrets":
            lacks = merged(given, {part: {"VIEWLEDGER_NOTICES_POSTGRES_URL": {"name": ""}}})
        result = template(tmp_path, EXAMPLE, lacks)
        assert result.returncode != 0
        assert "e-mails to payees need noticeSecrets.VIEWLEDGER_NOTICES_POSTGRES_URL.name" in result.stderr


def test_payees_are_told_by_webhook_where_it_is_turned_on_instead_of_e_mail(tmp_path: Path) -> None:
    names = ("VIEWLEDGER_NOTICES_POSTGRES_URL", "VIEWLEDGER_WEBHOOK_SECRET")
    settings = {"VIEWLEDGER_WEBHOOK_URL": "https://a.example/", "VIEWLEDGER_WEBHOOK_SINCE": "2026-12-01"}
    given = {"noticeSecrets": {name: {"name": "hook"} for name in names}, "settings": settings}
    (container,) = dict(pods_of(rendered(tmp_path, EXAMPLE, given)))["views-notices"]["containers"]
    named = {each["name"] for each in container["env"]}
    assert {"VIEWLEDGER_WEBHOOK_SECRET_FILE", *settings} <= named
    assert "VIEWLEDGER_SMTP_URL_FILE" not in named
    lacking = [{"settings": {name: ""}} for name in settings] + [{"noticeSecrets": {names[0]: {"name": ""}}}]
    for lacks in lacking:
        assert "notices by webhook need noticeSecrets" in template(tmp_path, EXAMPLE, given, lacks).stderr
    both = template(tmp_path, EXAMPLE, given, {"noticeSecrets": {"VIEWLEDGER_SMTP_URL": {"name": "mail"}}})
    assert (both.returncode != 0, "are both set; name one" in both.stderr) == (True, True)
