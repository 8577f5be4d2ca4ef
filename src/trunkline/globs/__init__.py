"""Globs: which files and directories of a dataset a stage reads. Pure.

One language for whoever checks a glob, confines a dependency to it, or looks for what it matches.
"""

from __future__ import annotations

from trunkline.globs.pattern import GlobError, Pattern, Template

__all__ = ["GlobError", "Pattern", "Template"]
