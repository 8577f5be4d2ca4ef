"""`python -m demo run`, `one-more-day` and `course`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from subprocess import CalledProcessError

from demo.course import PIPELINES, course
from demo.data import SourceError
from demo.first_run import first_run
from demo.one_more_day import NotYetError, one_more_day
from demo.shell import CommandError


def main() -> int:
    """The exit code: that of the command that failed, 1 where the data is not what it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="The pipelines of this repository on real data."
    )
    parser.add_argument("what", choices=["run", "one-more-day", "course"])
    parser.add_argument("pipelines", nargs="*", help="course: these of its pipelines; all, if none is named")
    parser.add_argument(
        "--no-comparison", action="store_true", help="one-more-day without the run of plain DVC"
    )
    parser.add_argument("--no-course", action="store_true", help="run without the data of the course")
    chosen = parser.parse_args()
    unknown = sorted({*chosen.pipelines} - {*PIPELINES})
    if chosen.pipelines and chosen.what != "course":
        parser.error(f"{chosen.what} takes no pipelines; course does")
    if unknown:
        parser.error(f"the course has no {', '.join(unknown)}; it has {', '.join(PIPELINES)}")
    root = Path.cwd()
    try:
        if chosen.what == "run":
            first_run(root, course=not chosen.no_course)
        elif chosen.what == "course":
            course(root, chosen.pipelines or PIPELINES)
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
