"""Prefect is imported beside the engine: datums that run meanwhile, and what they start, notice nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support import Tree

# What a thread of the run does, and what the stages do in the meantime: in a process without Prefect.
CODE = """\
import json, logging, os, subprocess, sys, threading
from trunkline.flows import home, settings

seen, inherited, said = set(), set(), 0
os.environ["MINE"] = "before"
told = home.environment(sys.argv[1], "http://127.0.0.1:9/api", {})
mine = {name: value for name, value in told.items() if name.startswith("PREFECT_")}
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
before = logging.root.level, list(logging.root.handlers)
thread = threading.Thread(target=settings.import_prefect, args=(told,))
thread.start()
while thread.is_alive():
    os.environ["MINE"] = "after"
    seen |= {*os.environ, *os.environ.copy(), *(name for name in mine if os.getenv(name))}
    logging.info("a datum says something")
    said += 1
    inherited |= set(subprocess.run(["env"], capture_output=True, text=True).stdout.splitlines())
    inherited |= set(subprocess.run(["env"], env={**os.environ}, capture_output=True, text=True).stdout.splitlines())
from prefect.settings import get_current_settings
print(json.dumps({
    "said": said,
    "seen": sorted(name for name in seen if name in mine),
    "inherited": sorted(line for line in inherited if line.partition("=")[0] in mine),
    "mine": [line for line in inherited if line.startswith("MINE=")],
    "root": before == (logging.root.level, logging.root.handlers),
    "url": get_current_settings().api.url,
    "home": str(get_current_settings().home),
    "environ": type(os.environ).__name__,
}))
"""


def test_stages_notice_nothing_while_prefect_is_imported(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    done = tree.command(sys.executable, "-c", CODE, str(tmp_path))
    told = json.loads(done.out)
    assert told.pop("said") == done.err.count("a datum says something\n") > 1
    assert told == {
        "seen": [],
        "inherited": [],
        "mine": ["MINE=after"],
        "root": True,
        "url": "http://127.0.0.1:9/api",
        "home": str(tmp_path / ".trunkline/prefect/home"),
        "environ": "_Environ",
    }
    assert not (tmp_path.parent / ".prefect").exists(), "HOME is the folder above"
