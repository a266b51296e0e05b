"""The first words of the command line, with descriptions. Standard library only: needed before any set-up."""

OVERVIEW = {
    "demo": "one small day through the whole pipeline, checked against the known truth",
    "check": "check format, lint and types",
    "test": "run the tests that the words name to pytest; without words check and run everything",
    "docs": "build the documentation as a site, or serve it while writing",
    "up": "start the local stack and leave it running",
    "down": "stop the local stack",
    "status": "show which parts of the local stack are running",
    "logs": "show the end of a part's log",
    "restart": "end one part of the local stack, and wait until it works again",
    "doctor": "check everything the pipeline needs and show how to fix it",
    "plan": "print what an installation needs for a number of views a day",
    "topics": "create or check the Kafka topics",
    "migrate": "bring the PostgreSQL schema up to date",
    "ingest": "send a file of events, one JSON object a line",
    "receipts": "check that every event with a receipt is in the log, and make the keys of receipts",
    "dead-letters": "list the rejected messages with their reasons; send one again",
    "batch": "run or inspect the batch layer",
    "traffic": "decide on events whose traffic is under review",
    "maintain": "expire versions, remove raw data after its time, and keep tables and served counts small",
    "backup": "copy PostgreSQL and the batch tables to a folder, as of one version",
    "restore": "bring an empty installation back to a backup; payouts wait until it is compared",
    "forget": "remove what one viewer sent, and keep every count and its proof",
    "reconcile": "prove that archive, batch tables, served counts and ledger agree",
    "audit": "find ids that are counted more than once, over all days",
    "billing": "rate and post settled views of a period",
    "faults": "inject faults into real processes and compare every number with a model",
    "attacks": "try attacks of strangers and insiders, and name any that gains something",
    "rebuild": "recount the speed or the batch layer, and measure the time",
    "keys": "make, list or revoke API keys for machines",
    "token": "issue a token for development, signed by the local stack",
    "sql": "query the tables of a published version with SQL",
    "export": "write tables of a published version as plain Parquet files",
    "run": "one process in the foreground: collector, speed, api or sql",
    "completion": "print the completion of commands for your shell",
}
"""First word → its description."""


def overview() -> str:
    """Return the list of commands."""
    width = max(map(len, OVERVIEW)) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in OVERVIEW.items()]
    usage = "usage: ./viewledger COMMAND [flags]     ./viewledger COMMAND --help shows a command's flags"
    release = "       ./viewledger --version shows which release this is"
    purpose = "viewledger counts video views so exactly that people are paid from the count."
    return "\n".join([purpose, "", usage, release, "", *lines])
