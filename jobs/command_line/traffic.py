"""Traffic under review: its groups, and people's decisions about them."""

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, actor, option, reason
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import TextValue

GROUP_CHARACTERS_MAX = 400

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
    Command("report", "jobs.commands.traffic:report", "list the decisions and the versions that apply them", JSON),
)

COMMANDS = (TRAFFIC,)
