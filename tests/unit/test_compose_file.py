"""The structure of docker-compose.yml, where no container engine can check it."""

import re
from typing import Any

import pytest
import yaml

from jobs.settings.state_home import PROJECT
from jobs.wiring.postgres_logins import ROLES
from tests.command_lines import parsed

TEXT = (PROJECT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROGRAM = ["python", "-P", "-m", "jobs.cli"]
ONE_TIME = {"topics", "schema", "folders", "rights", "billing"}
DEPENDENCIES = [
    (name, other, settings["condition"])
    for name, service in SERVICES.items()
    for other, settings in service.get("depends_on", {}).items()
]


def test_it_has_every_part_of_the_pipeline() -> None:
    assert (
        set(SERVICES)
        == {"kafka", "redis", "postgres", "namenode", "datanode", "collector", "speed", "api", "sql", "batch"}
        | ONE_TIME
    )


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_TIME))
def test_everything_that_keeps_running_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize(("name", "other", "condition"), DEPENDENCIES)
def test_every_dependency_is_a_service_that_can_meet_its_condition(name: str, other: str, condition: str) -> None:
    assert other in SERVICES
    assert condition == ("service_completed_successfully" if other in ONE_TIME else "service_healthy")


def test_no_service_waits_for_itself_in_a_circle() -> None:
    waits = {name: {other for one, other, _ in DEPENDENCIES if one == name} for name in SERVICES}
    while free := {name for name, others in waits.items() if not others}:
        waits = {name: others - free for name, others in waits.items() if name not in free}
    assert waits == {}


def test_the_versions_are_those_of_the_local_stack() -> None:
    pinned = dict(
        re.findall(r"<artifactId>([\w.-]+)</artifactId><version>([\d.]+)</version>", (PROJECT / "pom.xml").read_text())
    )
    images = {service["image"] for service in SERVICES.values()}
    assert f"apache/kafka:{pinned['kafka_2.13']}" in images
    assert f"apache/hadoop:{pinned['hadoop-hdfs']}" in images
    assert not any(image.endswith(":latest") or ":" not in image for image in images)


PLAY_KEYS, ATTESTATION_KEYS, RECEIPT_KEYS = OPTIONAL = (
    "VIEWLEDGER_PLAY_KEYS_FILE",
    "VIEWLEDGER_ATTESTATION_KEYS_FILE",
    "VIEWLEDGER_RECEIPT_KEYS_FILE",
)
"""Each names a file; without it no play is read, nothing attested, no receipt signed."""


def test_secrets_have_no_default_and_their_absence_is_explained() -> None:
    used = [each for each in re.findall(r"\$\{(\w+)(:[^}]*)?\}", TEXT) if each[0] not in OPTIONAL]
    assert {name for name, _ in used} == {
        "VIEWLEDGER_POSTGRES_SUPERUSER_PASSWORD",
        "VIEWLEDGER_POSTGRES_PASSWORD",
        "VIEWLEDGER_SPEED_PASSWORD",
        "VIEWLEDGER_API_PASSWORD",
        "VIEWLEDGER_SQL_PASSWORD",
        "VIEWLEDGER_PIPELINE_PASSWORD",
        "VIEWLEDGER_BILLING_PASSWORD",
        "VIEWLEDGER_PSEUDONYM_KEY",
        "VIEWLEDGER_TRAITS_KEY",
        "VIEWLEDGER_API_CURSOR_KEY",
    }
    assert all(rest.startswith(":?") for _, rest in used)


OWN_SECRETS = {
    "postgres": {"POSTGRES_PASSWORD", "VIEWLEDGER_POSTGRES_PASSWORD"},
    "schema": {"VIEWLEDGER_POSTGRES_URL"}
    | {f"VIEWLEDGER_{name}_POSTGRES_URL" for name in ("SPEED", "API", "SQL", "PIPELINE", "BILLING")},
    "collector": {"VIEWLEDGER_PSEUDONYM_KEY", *OPTIONAL},
    "speed": {"VIEWLEDGER_SPEED_POSTGRES_URL", ATTESTATION_KEYS},
    "api": {"VIEWLEDGER_API_POSTGRES_URL", "VIEWLEDGER_API_CURSOR_KEY", PLAY_KEYS},
    "sql": {"VIEWLEDGER_SQL_POSTGRES_URL"},
    "batch": {"VIEWLEDGER_PIPELINE_POSTGRES_URL", "VIEWLEDGER_TRAITS_KEY", ATTESTATION_KEYS},
    "billing": {"VIEWLEDGER_BILLING_POSTGRES_URL", "VIEWLEDGER_PSEUDONYM_KEY"},
}
"""Service → the secrets of its own work."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_its_own_secrets_and_no_others(name: str) -> None:
    received = {setting for setting, value in SERVICES[name].get("environment", {}).items() if "${" in str(value)}
    assert received == OWN_SECRETS.get(name, set())


@pytest.mark.parametrize("name", SERVICES)
def test_a_file_of_keys_is_mounted_where_its_setting_says(name: str) -> None:
    named = [str(value) for value in SERVICES[name].get("environment", {}).values() if "/run/secrets/" in str(value)]
    mounted = SERVICES[name].get("secrets", [])
    assert [each.partition("/run/secrets/")[2].rstrip("}") for each in named] == mounted
    assert all(COMPOSE["secrets"][each]["file"].endswith(":-/dev/null}") for each in mounted)


def login_of(url: str) -> str:
    return url.partition("://")[2].partition(":")[0]


def test_every_service_has_a_login_of_its_own_and_the_superuser_is_none_of_them() -> None:
    used: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        for setting, value in service.get("environment", {}).items():
            if setting.endswith("POSTGRES_URL") and name != "schema":
                used.setdefault(login_of(value), []).append(name)
    assert sorted(used) == ["api_process", "batch_process", "finance", "speed_process", "viewledger_sql"]
    assert all(len(services) == 1 for services in used.values())
    made = SERVICES["schema"]["environment"]
    assert {login_of(made[each.name]) for each in ROLES if each.name in made} == set(used)
    assert login_of(made["VIEWLEDGER_POSTGRES_URL"]) == "viewledger"
    assert "POSTGRES_USER" not in SERVICES["postgres"]["environment"], "the superuser is the image's own"
    script = (PROJECT / "deploy" / "compose" / "postgres.sh").read_text()
    assert "CREATE ROLE viewledger LOGIN CREATEROLE PASSWORD :'password';" in script
    assert "SUPERUSER" not in script


def test_nothing_that_keeps_running_is_root_and_ours_can_gain_nothing() -> None:
    assert [name for name, service in SERVICES.items() if "user" in service] == ["folders"]
    assert SERVICES["folders"]["network_mode"] == "none"
    for service in SERVICES.values():
        assert not service.get("privileged")
        if service["image"] == "viewledger:local":
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_our_services_run_commands_that_exist() -> None:
    ours = [service for service in SERVICES.values() if service["image"] == "viewledger:local"]
    words = [service["entrypoint"][-1] if "entrypoint" in service else service["command"][0] for service in ours]
    assert sorted(words) == ["billing", "migrate", "run", "run", "run", "run", "run", "topics"]
    for service in ours:
        command, _ = parsed([*service.get("entrypoint", PROGRAM)[len(PROGRAM) :], *service["command"]])
        assert command.work()


def test_named_volumes_are_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    files = {each for each in used if each.startswith("./")}
    assert used - files == set(COMPOSE["volumes"])
    assert all((PROJECT / each).is_file() for each in files)


def test_the_image_installs_by_hash_and_runs_without_privileges() -> None:
    text = (PROJECT / "deploy" / "Dockerfile").read_text()
    assert text.count("--require-hashes") == 2
    assert "USER viewledger" in text


def test_the_collector_alone_gets_the_keys_of_receipts() -> None:
    given = [name for name, service in SERVICES.items() if "receipt-keys" in service.get("secrets", ())]
    assert given == ["collector"]
    settings = SERVICES["collector"]["environment"]
    assert settings["VIEWLEDGER_RECEIPT_KEYS_FILE"] == "${VIEWLEDGER_RECEIPT_KEYS_FILE:+/run/secrets/receipt-keys}"
    assert "receipt-keys" in COMPOSE["secrets"]
