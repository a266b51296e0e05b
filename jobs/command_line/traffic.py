"""Traffic under review: its groups, and people's decisions about them."""

import click

from jobs.command_line.billing.terms import APPROVE
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, actor, option, path, payee, reason
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import Day, TextValue

GROUP_CHARACTERS_MAX = 400
ANSWER_CHARACTERS_MAX = 2000
POLICY_WORK = "jobs.commands.traffic_policy"

TRAFFIC = CommandGroup(
    "traffic",
    OVERVIEW["traffic"],
    Command("review", "jobs.commands.traffic:review", "list the groups that wait for a decision", JSON),
    Command(
        "decide",
        "jobs.commands.traffic:decide",
        "release a group, whose views become billable, or confirm that it is invalid",
        option(
            "--group", "its name, as `traffic review` shows it", type=TextValue(GROUP_CHARACTERS_MAX), required=True
        ),
        click.Option(["--release", "released"], is_flag=True, help="honest viewers made it"),
        click.Option(["--confirm", "confirmed"], is_flag=True, help="no viewer made it"),
        reason(),
        actor("who decides; not on a payee of their own"),
        JSON,
    ),
    CommandGroup(
        "appeals",
        "objections of payees to what is not counted of their traffic",
        Command(
            "list",
            "jobs.commands.traffic_appeals:list_appeals",
            "list the appeals with their states and answers",
            payee("whose appeals (default: of all payees)"),
            click.Option(["--open", "only_open"], is_flag=True, help="only those that nobody has answered"),
            JSON,
        ),
        Command(
            "answer",
            "jobs.commands.traffic_appeals:answer_appeal",
            "answer an appeal without a decision on a group",
            option("--appeal", "as `traffic appeals list` shows it", required=True, metavar="ID"),
            option("--answer", "in words that the payee reads", type=TextValue(ANSWER_CHARACTERS_MAX), required=True),
            actor("who answers; not an appeal of their own"),
            JSON,
        ),
    ),
    Command("report", "jobs.commands.traffic:report", "list what was found in periods, and the decisions", JSON),
    CommandGroup(
        "policy",
        "the policy of traffic: its versions, and the proposal and approval of the next one",
        Command("show", f"{POLICY_WORK}:show_policies", "show every version with its first day and values", JSON),
        Command(
            "propose",
            f"{POLICY_WORK}:propose_policy",
            "propose the next version of the policy of traffic",
            path(
                "--policy",
                "the values that change; the others stay those of the newest version in force",
                metavar="YAML",
                required=True,
            ),
            option("--first-on", "the first event day that it rules; it has not begun", type=Day(), required=True),
            actor("who proposes it; another person approves it"),
            JSON,
        ),
        APPROVE,
    ),
)

COMMANDS = (TRAFFIC,)
