"""Hash every file of a directory and hard-link it to a place named by its content.

python hash_and_link.py SOURCE STORE
"""

import hashlib
import os
import sys

BLOCK = 1 << 20


def md5(path: str) -> str:
    """The md5 of a file, read in blocks."""
    hasher = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def main(source: str, store: str) -> None:
    """All files of `source`."""
    made = set()
    with os.scandir(source) as entries:
        for entry in entries:
            name = md5(entry.path)
            folder = f"{store}/{name[:2]}"
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            os.link(entry.path, f"{folder}/{name[2:]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
