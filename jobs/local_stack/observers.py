"""What watches a local stack: Prometheus with the rules of `deploy/prometheus`, Alertmanager, and three exporters."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from jobs.child.accounts import account_of, owned_folder
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.http_probe import http_get
from jobs.local_stack.postgres_server import private_file
from jobs.local_stack.profile import Profile
from jobs.local_stack.unit import Kind, Unit
from jobs.settings.state_home import PROJECT
from jobs.setup import programs
from jobs.setup.debian_packages import remedy_for
from jobs.telemetry.figures_file import METRICS_FOLDER

RULES = PROJECT / "deploy" / "prometheus"
MONITOR = "monitor"
"""PostgreSQL's login of the exporter: it reads statistics and no table."""
MAKE_MONITOR = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{login}') THEN
    CREATE ROLE {login} LOGIN PASSWORD '{password}' CONNECTION LIMIT 3 IN ROLE pg_monitor;
  END IF;
END $$;
"""
AS_SUPERUSER = 'PGPASSWORD=$(cat "$1") exec "$2" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$3" "$4"'


def observer_units(
    profile: Profile, *, processes: Collection[str], after: tuple[str, ...], environ: Mapping[str, str]
) -> tuple[Unit, ...]:
    """Return the units of all observers of a stack with these processes; nothing waits for them.

    Raises CommandError(SETUP_FAILED) if a program is missing.
    """
    account = account_of("prometheus")
    metrics = profile.folder / METRICS_FOLDER
    metrics.mkdir(exist_ok=True)
    login = _monitor_login(profile, after=after, environ=environ)
    database = {
        "DATA_SOURCE_URI": f"127.0.0.1:{profile.ports.postgres}/viewledger?sslmode=disable",
        "DATA_SOURCE_USER": MONITOR,
        "DATA_SOURCE_PASS": profile.secret("monitor_password"),
    }

    def unit(name: str, *arguments: str, probe: str = "/", **others: Any) -> Unit:
        program, port = programs.observer(name), profile.ports.by_name()[name]
        if program is None:
            raise CommandError(
                f"{name} is not installed; {remedy_for([programs.debian_name(name)])}", ExitCode.SETUP_FAILED
            )
        return Unit(
            name=name,
            kind=Kind.SERVER,
            command=(program, f"--web.listen-address=127.0.0.1:{port}", *arguments),
            probe=_answers(f"http://127.0.0.1:{port}{probe}"),
            port=port,
            account=account,
            **{"after": after, "environ": environ, **others},
        )

    return (
        login,
        unit("node_exporter", f"--collector.textfile.directory={metrics}"),
        unit("redis_exporter", f"--redis.addr=redis://127.0.0.1:{profile.ports.redis}", probe="/health"),
        unit("postgres_exporter", after=(login.name,), environ={**environ, **database}),
        unit(
            "alertmanager",
            f"--config.file={profile.write_config('alertmanager.yml', (RULES / 'alertmanager.yml').read_text())}",
            f"--storage.path={owned_folder(profile.folder / 'alertmanager', account)}",
            "--cluster.listen-address=",
            probe="/-/ready",
        ),
        unit(
            "prometheus",
            f"--config.file={_configuration(profile, processes)}",
            f"--storage.tsdb.path={owned_folder(profile.folder / 'prometheus', account)}",
            "--storage.tsdb.retention.time=31d",
            probe="/-/ready",
        ),
    )


def _monitor_login(profile: Profile, *, after: tuple[str, ...], environ: Mapping[str, str]) -> Unit:
    """Return the task that makes the exporter's login, also in a cluster of before."""
    account = account_of("postgres")
    text = MAKE_MONITOR.format(login=MONITOR, password=profile.secret("monitor_password"))
    statements = private_file(profile.folder / "etc" / "monitor.sql", text, account)
    folder = programs.postgres_folder()
    psql = str(folder / "psql") if folder else "psql"
    url = f"postgresql://postgres@127.0.0.1:{profile.ports.postgres}/postgres"
    words = (str(profile.folder / "etc" / "postgres.pw"), psql, str(statements), url)
    return Unit(
        name="monitor-login",
        kind=Kind.TASK,
        command=("/bin/sh", "-c", AS_SUPERUSER, "login", *words),
        environ=environ,
        account=account,
        after=after,
    )


def _configuration(profile: Profile, processes: Collection[str]) -> Path:
    """Write `prometheus.yml` with this stack's addresses and without the processes that it does not run."""
    ports = profile.ports
    targets = {"batch": ports.node_exporter, "redis": ports.redis_exporter, "postgres": ports.postgres_exporter}
    for process, job, port in (
        ("collector", "collector", ports.collector_metrics),
        ("speed", "speed", ports.speed_metrics),
        ("api", "api", ports.api_metrics),
        ("batch", "batch_driver", ports.batch_metrics),
    ):
        if process in processes:
            targets[job] = port
    chosen = yaml.safe_load((RULES / "prometheus.yml").read_text())
    chosen["scrape_configs"] = [
        {**each, "static_configs": [{"targets": [f"127.0.0.1:{targets[each['job_name']]}"]}]}
        for each in chosen["scrape_configs"]
        if each["job_name"] in targets
    ]
    (managers,) = chosen["alerting"]["alertmanagers"]
    managers["static_configs"] = [{"targets": [f"127.0.0.1:{ports.alertmanager}"]}]
    for name in chosen["rule_files"]:
        profile.write_config(name, (RULES / name).read_text())
    return profile.write_config("prometheus.yml", json.dumps(chosen, indent=2))  # JSON is YAML


def _answers(url: str) -> Callable[[], bool]:
    return lambda: http_get(url) is not None
