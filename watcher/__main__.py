"""`python -m watcher`, and the `watcher` command."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line and exit with its code."""
    if os.getpid() == 1:
        # In a container: to the first process the kernel gives only signals that it handles, and commands begin to
        # handle theirs after a second or two. Until then a container that is stopped would wait to be killed.
        signal.signal(signal.SIGTERM, _end)
    from watcher.cli.main import main as run_command  # noqa: PLC0415 - takes a while

    sys.exit(run_command())


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
