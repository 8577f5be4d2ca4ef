"""Is the model that was just trained the one that `dvc.lock` in git names, and if not, why not?

the model is the one that dvc.lock in git (3f1c0de) names, byte for byte

the model is not the one that dvc.lock in git (3f1c0de) names:
  flights-train is the first stage to differ; its data, code and parameters are the same
  numpy: 2.4.5 -> 2.4.6
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from demo import environment
from demo.shell import git

MODEL_STAGE = "flights-train"
ORDER = ("flights-ingest", "flights-weather", "flights-clean", "flights-split", MODEL_STAGE)
Lock = Mapping[str, Mapping[str, Any]]


def verdict(root: Path) -> str:
    """A sentence, and where it is "not" the cause, as shown above."""
    commit = git(root, "rev-parse", "--short", "HEAD")
    text = git(root, "show", "HEAD:./dvc.lock")
    before = _stages(text or "")
    if commit is None or MODEL_STAGE not in before:
        return "there is no dvc.lock in git yet that names a model to compare with"
    now = _stages((root / "dvc.lock").read_text(encoding="utf-8"))
    name = f"dvc.lock in git ({commit})"
    if _data(before[MODEL_STAGE]) == _data(now.get(MODEL_STAGE, {})):
        return f"the model is the one that {name} names, byte for byte"
    cause = _cause(before, now, environment.recorded(root), environment.present())
    return "\n  ".join([f"the model is not the one that {name} names:", *cause])


def _cause(
    before: Lock, now: Lock, recorded: Mapping[str, str] | None, present: Mapping[str, str]
) -> list[str]:
    """The first stage whose output differs, and what about it does."""
    stage = next(name for name in ORDER if _data(before.get(name, {})) != _data(now.get(name, {})))
    changed = changes(before.get(stage, {}), now.get(stage, {}))
    if changed:
        return [
            f"{stage} is the first stage to differ, because these do:",
            *(f"  {line}" for line in changed),
        ]
    lines = [f"{stage} is the first stage to differ; its data, code and parameters are the same"]
    if recorded is None:
        return [*lines, f"with which versions the other was made is not recorded in {environment.RECORD}"]
    return [
        *lines,
        *(environment.differences(recorded, present) or ["and so is every recorded item of the environment"]),
    ]


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a stage reads that differs between two entries of a lock: files and parameters."""
    old, new = ({dep["path"]: dep.get("md5") for dep in entry.get("deps", ())} for entry in (before, now))
    paths = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    old_params, new_params = (_flat(entry.get("params", {})) for entry in (before, now))
    params = [key for key in sorted({*old_params, *new_params}) if old_params.get(key) != new_params.get(key)]
    return [*paths, *(f"{key}: {old_params.get(key)} -> {new_params.get(key)}" for key in params)]


def _stages(text: str) -> Lock:
    content = yaml.safe_load(text) or {}
    stages: Lock = content.get("stages", {})
    return stages


def _data(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The datasets that a stage wrote, by content; its manifest, which also says how, left out."""
    outs: Sequence[Mapping[str, Any]] = entry.get("outs", ())
    return sorted((out["path"], out["md5"]) for out in outs if "/.manifests/" not in out["path"])


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
