# What type checkers see: the names that __init__.py imports when they are first used.
from trunkline.api import files as files
from trunkline.api import load_model as load_model
from trunkline.api import open as open  # noqa: A004
from trunkline.api import path as path

__version__: str
__all__: list[str]
