"""Settings that `docker-compose.yml` puts into those of its services: the passwords of the logins that it makes."""

from jobs.settings.kinds import Text


def _password(name: str, *, of: str, without: str = "") -> Text:
    return Text(name, read_by="`docker-compose.yml`", meaning=f"the password of {of}", without=without, is_secret=True)


POSTGRES_SUPERUSER_PASSWORD = _password("VIEWLEDGER_POSTGRES_SUPERUSER_PASSWORD", of="PostgreSQL's superuser")
POSTGRES_PASSWORD = _password("VIEWLEDGER_POSTGRES_PASSWORD", of="the login that migrates the schema")
SPEED_PASSWORD = _password("VIEWLEDGER_SPEED_PASSWORD", of="the speed layer's login")
API_PASSWORD = _password("VIEWLEDGER_API_PASSWORD", of="the API's login")
SQL_PASSWORD = _password("VIEWLEDGER_SQL_PASSWORD", of="the SQL server's login")
PIPELINE_PASSWORD = _password("VIEWLEDGER_PIPELINE_PASSWORD", of="the login of batch runs")
BILLING_PASSWORD = _password("VIEWLEDGER_BILLING_PASSWORD", of="the login that bills")
NOTICES_PASSWORD = _password(
    "VIEWLEDGER_NOTICES_PASSWORD", of="the login of notices to payees", without="there is no such login"
)
MONITOR_PASSWORD = _password("VIEWLEDGER_MONITOR_PASSWORD", of="the login that reads statistics of PostgreSQL")
