"""`python -m evenset`, and the `evenset` command: Ctrl-C is one line even while the imports still run."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from evenset.cli import main as command  # absolute: mypy finds no relative module beside a symlinked __main__

        command()
    except KeyboardInterrupt:
        sys.stderr.write("stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
