"""`./viewledger plan`: what an installation needs for a number of views a day."""

import json
from math import ceil

from jobs.checkup.capacity import COEFFICIENTS, Load, Need, plan
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import environment
from jobs.settings.declared.pipeline import RETENTION_DAYS, SPEED_HORIZON_SECONDS

VIEWS_OF_A_VIDEO = 100
VIDEOS_OF_A_PAYEE = 10
"""Assumed where the numbers are not given."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def run(
    *,
    views_per_day: int,
    peak_factor: int,
    reads_per_second: int,
    videos: int | None,
    payees: int | None,
    run_every_minutes: int,
    kafka_days: int,
    copies: int,
    busy_percent: int,
    as_json: bool,
) -> ExitCode:
    """Print the plan; it connects to nothing."""
    videos = videos or ceil(views_per_day / VIEWS_OF_A_VIDEO)
    load = Load(
        views_per_day=views_per_day,
        peak_factor=peak_factor,
        reads_per_second=reads_per_second,
        videos=videos,
        payees=payees or ceil(videos / VIDEOS_OF_A_PAYEE),
        run_minutes=run_every_minutes,
        horizon_seconds=SPEED_HORIZON_SECONDS.read(environment()),
        kafka_days=kafka_days,
        retention_days=RETENTION_DAYS.read(environment()),
        copies=copies,
        busy_percent=busy_percent,
    )
    try:
        needs = plan(load)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    if as_json:
        document = {
            "load": vars(load),
            "needs": [vars(each) for each in needs],
            "coefficients": [vars(each) for each in COEFFICIENTS],
        }
        print(json.dumps(document))
        return ExitCode.OK
    rows = [(each.name, _amount(each), each.because) for each in needs]
    sources = [(each.name, f"{each.value:g}", each.unit, each.source) for each in COEFFICIENTS]
    print(aligned(("what", "needed", "because"), rows, left=3))
    print("\n" + aligned(("measured", "value", "unit", "source"), sources, left=4))
    return ExitCode.OK


def _amount(need: Need) -> str:
    if need.unit != "bytes":
        return f"{need.amount:,} {need.unit}".rstrip()
    power = min((max(need.amount, 1).bit_length() - 1) // 10, len(_UNITS) - 1)
    return f"{need.amount / (1 << 10 * power):,.1f} {_UNITS[power]}"
