"""The local stack, its checks, its processes, and the tests."""

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, actor, flag, number, option, path
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import Duration, Name, OneOf

DOCS_PORT = 17090
DEFAULT_PROCESSES = "collector,speed,api"
ACTOR_CHARACTERS_MAX = 200
LINES_MAX = 100_000
EVENTS_LEAST, EVENTS_MOST = 20_000, 5_000_000

DEMO = Command(
    "demo",
    "jobs.demo.command:run",
    OVERVIEW["demo"],
    number("--events", "events to send", 200_000, least=EVENTS_LEAST, most=EVENTS_MOST),
    number("--seed", "the same seed gives the same traffic", 20261123, least=0, most=10**18 - 1),
    flag("--keep", "leave the stack running; ./viewledger down stops it"),
    JSON,
)
CHECK = Command("check", "jobs.commands.check:run", OVERVIEW["check"])
TEST = Command(
    "test",
    "jobs.commands.test:run",
    OVERVIEW["test"],
    click.Argument(["words"], nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST_ARGUMENT]...", help="such as -k NAME"),
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
DOCS = CommandGroup(
    "docs",
    OVERVIEW["docs"],
    Command(
        "build",
        "jobs.commands.docs:build",
        "write the site; every warning is an error",
        path("--to", "the folder to write (default: site in the folder of the set-up)", metavar="DIR"),
    ),
    Command(
        "serve",
        "jobs.commands.docs:serve",
        "show the site on this machine, built again after each change",
        number("--port", "its port on 127.0.0.1", DOCS_PORT, least=1024, most=65_535),
    ),
)
UP = Command(
    "up",
    "jobs.commands.up:run",
    f"{OVERVIEW['up']}; its ports are the block from VIEWLEDGER_PORT_BASE (17070) on",
    flag("--servers-only", "start none of our own processes"),
    option("--processes", "which of our processes to start", default=DEFAULT_PROCESSES, show_default=True),
    click.Option(
        ["--with", "beside"],
        type=OneOf(["observe"]),
        help="also start Prometheus with all alerts, Alertmanager and exporters",
    ),
)
TOPICS = CommandGroup(
    "topics",
    OVERVIEW["topics"],
    Command("create", "jobs.commands.topics:create_missing", "create what is missing"),
    Command("check", "jobs.commands.topics:check", "compare the topics with the required settings"),
    Command(
        "new-generation",
        "jobs.commands.new_generation:run",
        "continue counting with the topic's present log, as the next generation",
        actor("who decides it", required=True, most=ACTOR_CHARACTERS_MAX),
        option("--reason", "what happened to the former log; stored", type=Name(ACTOR_CHARACTERS_MAX), required=True),
    ),
)
MIGRATE = Command(
    "migrate",
    "jobs.commands.migrate:run",
    OVERVIEW["migrate"],
    flag("--check", "name what is pending and change nothing"),
    flag("--logins", "also make the logins that the settings name, each with the roles of its work alone"),
)
RUN = CommandGroup(
    "run",
    OVERVIEW["run"],
    Command("collector", "jobs.processes.collector:run", "take events over HTTP and write them to Kafka"),
    Command("speed", "jobs.processes.speed:run", "count events into Redis as they arrive"),
    Command("api", "jobs.processes.api:run", "serve counts and payments over HTTP"),
    Command("sql", "jobs.processes.sql:run", "serve SQL on the published versions to analysts"),
    Command(
        "batch",
        "jobs.processes.batch:run",
        "do a batch run at every tick, with a Spark that stays warm",
        option(
            "--every",
            "from the start of a run to the start of the next, 10s to 24h; a longer run delays the next",
            type=Duration("10s", "24h"),
            default="5m",
            show_default=True,
        ),
    ),
)
PART = click.Argument(["name"], metavar="NAME", help="a part of the stack, as `status` shows it")
LOGS = Command(
    "logs",
    "jobs.commands.logs:run",
    OVERVIEW["logs"],
    PART,
    number("--lines", "how many", 50, most=LINES_MAX),
    flag("--follow", "then print each new line, until Ctrl-C"),
)
RESTART = Command("restart", "jobs.commands.restart:run", OVERVIEW["restart"], PART)
PLAN = Command(
    "plan",
    "jobs.commands.plan:run",
    f"{OVERVIEW['plan']}, from measured coefficients",
    number("--views-per-day", "views on a day", None, most=10**12, required=True),
    number("--peak-factor", "the busiest minute's rate over the mean", 4, most=100),
    number("--reads-per-second", "requests to the API at the busiest", 100, most=10**7),
    number("--videos", "videos that get views on a day (default: a hundredth of the views)", None, most=10**12),
    number("--payees", "payees of a month (default: a tenth of the videos)", None, most=10**12),
    number("--run-every-minutes", "from the start of a batch run to the next", 60, most=1_440),
    number("--kafka-days", "how long Kafka keeps events", 7, most=366),
    number("--copies", "of everything in Kafka and HDFS", 3, most=9),
    number("--busy-percent", "how much of its measured rate a process is to be used", 50, most=100),
    JSON,
)
COMPLETION = Command(
    "completion",
    "jobs.commands.completion:run",
    f"{OVERVIEW['completion']}; for bash: source <(./viewledger completion bash)",
    click.Argument(["shell"], type=OneOf(("bash", "fish", "zsh")), help="which shell"),
)

COMMANDS = (
    DEMO,
    CHECK,
    TEST,
    DOCS,
    UP,
    Command("down", "jobs.commands.down:run", OVERVIEW["down"]),
    Command("status", "jobs.commands.status:run", OVERVIEW["status"], JSON),
    LOGS,
    RESTART,
    Command("doctor", "jobs.commands.doctor:run", OVERVIEW["doctor"], JSON),
    PLAN,
    TOPICS,
    MIGRATE,
    RUN,
    COMPLETION,
)
