"""Version source datasets of the project in the working directory, as `trunkline put` would have.

    python save_source.py NAME…

A process of its own: what the bench's process has in memory would count as its children's peak.
"""

import os
import sys

from trunkline.project import Project

if __name__ == "__main__":
    store = Project(os.getcwd()).store
    for name in sys.argv[1:]:
        store.save_source(f"data/{name}")
    store.close()
