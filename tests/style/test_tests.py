"""What the tests themselves keep to."""

from jobs.commands.test import BESIDE
from jobs.settings.state_home import PROJECT


def test_every_test_that_needs_spark_in_its_own_process_shares_the_one_that_runs_beside_the_others() -> None:
    files = (PROJECT / "tests").rglob("test_*.py")
    needing = {str(path.relative_to(PROJECT)) for path in files if "spark: Spark" + "Session" in path.read_text()}
    assert len(needing) > 4
    assert needing <= set(BESIDE)
    assert all((PROJECT / path).is_file() for path in BESIDE)
