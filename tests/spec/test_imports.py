from __future__ import annotations

import subprocess
import sys

HEAVY = "asyncio concurrent.futures dvc importlib.metadata multiprocessing pandas pyarrow ruamel sqlite3 subprocess zoneinfo"


def test_reading_pipelines_imports_nothing_heavy() -> None:
    program = f"import sys, trunkline.spec; print(*[name for name in {HEAVY.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
