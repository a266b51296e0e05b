"""Parse a whole command line and run its command. Completes one for a shell, too."""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete, shell_complete

from jobs.command_line.old_spellings import respelled
from jobs.command_line.refusals import sentence
from jobs.command_line.root import ROOT
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import COMPLETION_VARIABLE

PROGRAM = "viewledger"
SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}
AS_TYPED = {
    "bash": {"bash_complete $1)": 'bash_complete "${1/#\\~/$HOME}")'},
    "fish": {
        f"(commandline -t) {PROGRAM})": "(commandline -t) (string replace -r '^~' $HOME -- (commandline -opc)[1]))"
    },
    "zsh": {f"    (( ! $+commands[{PROGRAM}] )) && return 1\n": "", f"{PROGRAM})}}": "${(Q)~words[1]})}"},
}
"""Shell → the parts of click's script that ask a program on the PATH, and what asks the one that is typed."""


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; raise CommandError for words that cannot be parsed."""
    words, old = respelled(words)
    if old:
        print(f"`{old.old}` is `{old.new}` now; the old spelling works in this version only", file=sys.stderr)
    try:
        with ROOT.make_context(f"./{PROGRAM}", words) as context:
            return int(ROOT.invoke(context))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.message, file=sys.stderr)
        return ExitCode.BAD_INPUT
    except click.UsageError as error:
        raise CommandError(sentence(error), ExitCode.BAD_INPUT) from error


def complete(instruction: str) -> int:
    """Print the possible next words for a shell's line; `instruction` is the value that its script set."""
    return shell_complete(ROOT, {}, PROGRAM, COMPLETION_VARIABLE, instruction)


def completion_script(shell: str) -> str:
    """Return the script by which a shell completes commands and flags; it asks the program that is typed.

    A checkout's launcher is typed as `./viewledger` and is not on the PATH, where click's scripts look.
    """
    script = SHELLS[shell](ROOT, {}, PROGRAM, COMPLETION_VARIABLE).source()
    for asked, typed in AS_TYPED[shell].items():
        script = script.replace(asked, typed)
    return script
