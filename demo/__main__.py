"""`python -m demo run` and `python -m demo one-more-day`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from subprocess import CalledProcessError

from demo.data import SourceError
from demo.first_run import first_run
from demo.one_more_day import NotYetError, one_more_day
from demo.shell import CommandError


def main() -> int:
    """The exit code: that of the command that failed, 1 where the data is not what it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="The reference pipeline on real data."
    )
    parser.add_argument("what", choices=["run", "one-more-day"])
    parser.add_argument(
        "--no-comparison", action="store_true", help="one-more-day without the run of plain DVC"
    )
    chosen = parser.parse_args()
    root = Path.cwd()
    try:
        if chosen.what == "run":
            first_run(root)
        else:
            one_more_day(root, compare=not chosen.no_comparison)
    except (SourceError, NotYetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except CalledProcessError as error:
        print(f"error: plain DVC could not be measured: {error}\n{error.stderr}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
