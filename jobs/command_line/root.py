"""Every command, by its first word."""

import click

from jobs.command_line import access, harness, local, pipeline, receipts, traffic
from jobs.command_line.billing.group import BILLING
from jobs.command_line.frame import CommandGroup
from jobs.command_line.overview import OVERVIEW

_DECLARED: dict[str | None, click.Command] = {
    each.name: each
    for each in (
        *local.COMMANDS,
        *pipeline.COMMANDS,
        *receipts.COMMANDS,
        *traffic.COMMANDS,
        BILLING,
        *harness.COMMANDS,
        *access.COMMANDS,
    )
}
ROOT = CommandGroup(
    "viewledger",
    "count video views so exactly that people are paid from the count",
    *(_DECLARED[name] for name in OVERVIEW),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
"""In the order of the overview, which names each of them."""
