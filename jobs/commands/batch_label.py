"""`./viewledger batch label`: give a published version a name."""

import json

from batch_layer.versions.postgres_labels import label_version
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes


def run(*, version: int, label: str, actor: str, as_json: bool) -> ExitCode:
    """Store the name, which replaces the one that the version had. REFUSED if the version is not published."""
    url = settings.PostgresConnection.from_environ(settings.environment("PIPELINE")).url
    with errors_as_exit_codes():
        label_version(url, version, label, actor=actor)
    if as_json:
        print(json.dumps({"version": version, "label": label}))
    else:
        print(f"version {version} is labelled {label!r}")
    return ExitCode.OK
