"""Write build.ninja: one edge for each file of a directory, its content in capitals.

python ninja_file.py SOURCE TARGET
"""

import os
import sys

HEAD = """\
builddir = .ninja
rule upper
  command = tr a-z A-Z < $in > $out
"""


def main(source: str, target: str) -> None:
    """For all files of `source` as they are now."""
    names = sorted(os.listdir(source))
    edges = [f"build {target}/{name}: upper {source}/{name}\n" for name in names]
    with open("build.ninja", "w") as stream:
        stream.write(HEAD + "".join(edges))


if __name__ == "__main__":
    main(*sys.argv[1:])
