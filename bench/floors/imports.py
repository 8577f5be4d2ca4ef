"""Import some modules of the project in the working directory, and do nothing.

python imports.py MODULE…
"""

import importlib
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    for name in sys.argv[1:]:
        importlib.import_module(name)
