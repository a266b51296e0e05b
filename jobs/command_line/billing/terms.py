"""The terms of billing: the catalogue, contracts and rates, their second person, and the approval limits."""

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, actor, flag, number, option, path, reason
from jobs.command_line.values import Day

WORK = "jobs.commands.billing"
COUNT_MAX = 2**31 - 1

CATALOGUE = CommandGroup(
    "catalogue",
    "payees, videos, owners and rates",
    Command(
        "import",
        f"{WORK}.catalogue_import:import_files",
        "import payees and videos, rates, or all three",
        path("--payees", "payee_id,name,user_id,country", metavar="CSV"),
        path("--videos", "video_id,payee_id,length_seconds,title", metavar="CSV"),
        path("--owners", "video_id,payee_id,share_ppm,from_on,to_on", metavar="CSV"),
        path("--rates", "currency and contracts", metavar="YAML"),
        number(
            "--allow-removals",
            "how many payees, videos and contracts it may remove",
            0,
            least=0,
            most=COUNT_MAX,
        ),
        flag("--preview", "show what would change and store nothing"),
        actor("who imports; an import that waits is approved by another person"),
        JSON,
    ),
)

POLICIES = CommandGroup(
    "policies",
    "the counting policy: its versions, and the proposal of the next one",
    Command("list", f"{WORK}.policies:list_policies", "list every version with its first day and values", JSON),
    Command(
        "propose",
        f"{WORK}.policies:propose_policy",
        "propose the next version of the counting policy",
        path("--policy", "its values, as for `billing backtest`", metavar="YAML", required=True),
        option("--first-on", "the first event day that it rules; it has not begun", type=Day(), required=True),
        actor("who proposes it; another person approves it"),
        JSON,
    ),
)

_PROPOSALS = click.Option(
    ["--proposal"], multiple=True, required=True, metavar="ID", help="as `list` shows it; may be repeated"
)
APPROVE = Command(
    "approve",
    f"{WORK}.proposals:approve_proposals",
    "put it in force; not by the person who imported it",
    _PROPOSALS,
    actor("who approves it; must not be the person who imported it"),
    reason(required=False),
    JSON,
)
PROPOSALS = CommandGroup(
    "proposals",
    "catalogues, rates, policies and bank accounts that wait for a second person",
    Command("list", f"{WORK}.proposals:list_proposals", "list the imports that wait for a second person", JSON),
    Command(
        "show",
        f"{WORK}.proposals:show_proposal",
        "show what would change if it came into force",
        option("--proposal", "as `list` shows it", required=True, metavar="ID"),
        JSON,
    ),
    APPROVE,
    Command(
        "refuse",
        f"{WORK}.proposals:refuse_proposals",
        "never put it in force",
        _PROPOSALS,
        actor("who refuses it"),
        reason(),
        JSON,
    ),
)
LIMITS = CommandGroup(
    "limits",
    "the most that a statement may earn without approval",
    Command("show", f"{WORK}.limits:show_limits", "show every limit in force and who set it", JSON),
    Command(
        "set",
        f"{WORK}.limits:set_limits",
        "set limits; by a login that approves and does not bill",
        click.Argument(
            ["limits"], help="in whole units by currency, like EUR=5000,*=1000; `*` is for all other currencies"
        ),
        reason(),
        actor("who sets them"),
        JSON,
    ),
)
