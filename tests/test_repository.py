"""Facts about the repository itself: what it names, what it promises, and that its pages hold."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import trunkline

ROOT = Path(__file__).resolve().parent.parent
# Written in pieces, so that this file may be searched as well.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.",
    "npm" + "mirror",
    "proxy.golang" + ".org",
    "conda" + ".anaconda",
    "crates" + ".io",
]
FOREIGN_HOMES = re.compile(r"(?<![\w.~-])/(?:home|Users|root)/[\w.-]+")


def _files() -> list[Path]:
    """What git tracks, and what it would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name.decode() for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _texts() -> list[tuple[str, str]]:
    texts = []
    for path in _files():
        data = path.read_bytes()
        if b"\0" not in data:
            texts.append((str(path.relative_to(ROOT)), data.decode()))
    return texts


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pages() -> list[Path]:
    return [path for path in _files() if path.suffix == ".md"]


# ---------------------------------------------------------------- what its pages promise


def test_the_conformance_page_names_every_test_and_no_other() -> None:
    text = (ROOT / "docs/pachyderm-conformance.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    modules = [ROOT / f"tests/conformance/test_pachyderm_{name}.py" for name in ("inputs", "jobs")]
    there = {name for path in modules for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    assert named == there


# ---------------------------------------------------------------- what may not be in it


def test_no_file_names_a_package_registry() -> None:
    found = [(name, host) for name, text in _texts() for host in REGISTRIES if host in text]
    assert found == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    here = re.compile(rf"(?<![\w.~-]){re.escape(str(ROOT))}(?![\w-])")
    found = [
        (name, match.group())
        for name, text in _texts()
        for pattern in (here, FOREIGN_HOMES)
        for match in pattern.finditer(text)
        if name != "tests/test_repository.py"
    ]
    assert found == []


def test_the_patterns_find_what_they_are_for() -> None:
    """The two tests above would pass with patterns that match nothing."""
    home = "/" + "home/somebody"
    assert FOREIGN_HOMES.search(f"cd {home}/x")
    assert not FOREIGN_HOMES.search(f"data{home}")


def test_no_file_is_large() -> None:
    """Data belongs to DVC. The lock of the environment is the largest text. What no package has is the
    exception: demo/nanodet/ORIGIN.md.
    """
    large = [str(path.relative_to(ROOT)) for path in _files() if path.stat().st_size > 500_000]
    assert large == ["demo/nanodet/nanodet.onnx"]


# ---------------------------------------------------------------- the environment


def _locked() -> dict[str, str]:
    lock = (ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==([^\s;]+)", lock, re.MULTILINE))


def test_every_locked_package_has_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]
    assert len(entries) == len(_locked())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_place() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|^\s*-|#", re.sub(r"^\s+--hash=\S+( \\)?$", "", lock, flags=re.MULTILINE))


def _declared() -> list[str]:
    data = _project()
    project = data["project"]
    groups = data["dependency-groups"]
    assert isinstance(project, dict)
    assert isinstance(groups, dict)
    extras = [item for items in project["optional-dependencies"].values() for item in items]
    return [*project["dependencies"], *extras, *groups["dev"]]


@pytest.mark.parametrize("requirement", _declared())
def test_every_declared_package_is_locked(requirement: str) -> None:
    name = re.split(r"[<>=!~\[ ;]", requirement, maxsplit=1)[0].lower()
    assert re.sub(r"[-_.]+", "-", name) in {re.sub(r"[-_.]+", "-", locked) for locked in _locked()}


# ---------------------------------------------------------------- the package


def test_one_version_everywhere() -> None:
    project = _project()["project"]
    assert isinstance(project, dict)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert project["version"] == trunkline.__version__ == newest.group(1)


def test_the_public_surface_is_short_sorted_and_there() -> None:
    assert trunkline.__all__ == sorted(trunkline.__all__)
    assert len(trunkline.__all__) <= 15
    assert [name for name in trunkline.__all__ if not hasattr(trunkline, name)] == []


def test_the_package_is_typed() -> None:
    assert (Path(trunkline.__file__).parent / "py.typed").exists()


# ---------------------------------------------------------------- the pages


def _prose(text: str) -> str:
    """A page without its code: what stands there is no link and no heading."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda match: match.group().replace("[", "").replace("]", ""), text)


def _anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose(path.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


def _links() -> list[tuple[Path, str]]:
    links = []
    for page in _pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page.read_text())):
            if not re.match(r"[a-z]+:", target):
                links.append((page, target))
    return links


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page, target in _links():
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_page_of_the_docs_can_be_reached_from_the_index() -> None:
    targets: dict[Path, set[Path]] = {}
    for page, target in _links():
        targets.setdefault(page.resolve(), set()).add((page.parent / target.partition("#")[0]).resolve())
    reached: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += targets.get(page, set())
    pages = {path.resolve() for path in _pages() if path.is_relative_to(ROOT / "docs")}
    assert sorted(str(path) for path in pages - reached) == []


def _make_targets() -> list[str]:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    return phony.group(1).split()


@pytest.mark.parametrize("target", _make_targets())
def test_every_make_target_is_listed_and_explained(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"`make {target}`" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_target_is_phony() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(targets) == sorted(_make_targets())


def test_what_ci_calls_is_there() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    called = re.search(r"^for target in (.+); do$", script.read_text(), re.MULTILINE)
    assert called is not None
    assert called.group(1).split() == ["check", "test"]
