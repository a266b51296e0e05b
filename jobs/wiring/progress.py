"""The lines in which long commands say on stderr what they do."""

import sys

from batch_layer.stages import Progress


def progress_of(command: str) -> Progress:
    """Return what prints one line for a stage of a command's work and what is said of it."""

    def report(stage: str, text: str) -> None:
        print(f"{command}: {stage}: {text}", file=sys.stderr, flush=True)

    return report
