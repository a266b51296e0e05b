"""The message for a command line that cannot be parsed: one sentence, and where the flags are listed."""

import click

MARK_OF_HELP = "--help"


def sentence(error: click.UsageError) -> str:
    """Return the value, its error and the remedy; a second line names the help."""
    command = error.ctx.command_path if error.ctx else "./viewledger"
    return f"{_what(error)}\n{command} {MARK_OF_HELP} shows its usage"


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchCommand():
            return f"unknown command: {error.command_name!r}; {_meant(error.possibilities, 'give one of its commands')}"
        case click.NoSuchOption():
            return f"unknown flag: {error.option_name}; {_meant(error.possibilities, 'leave it out')}"
        case click.MissingParameter():
            return f"{_name(error.param)} is missing; {_given_as(error)}"
        case click.BadParameter():
            return f"{_name(error.param)} {error.message}"
        case click.BadOptionUsage():
            return f"{error.option_name} {_misused(error)}"
    return error.message


def _meant(names: list[str] | None, or_else: str) -> str:
    return f"did you mean {' or '.join(sorted(names))}?" if names else or_else


def _name(param: click.Parameter | None) -> str:
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return param.human_readable_name if param else "a value"


def _given_as(error: click.MissingParameter) -> str:
    param = error.param
    if param is None or error.ctx is None:
        return "give it"
    metavar = param.make_metavar(error.ctx)
    return f"give it as {_name(param)} {metavar}" if isinstance(param, click.Option) else f"give {metavar}"


def _misused(error: click.BadOptionUsage) -> str:
    params = error.ctx.command.params if error.ctx else []
    takes_value = not any(error.option_name in each.opts and getattr(each, "is_flag", False) for each in params)
    return "has no value; give one after it" if takes_value else "takes no value; give it alone"
