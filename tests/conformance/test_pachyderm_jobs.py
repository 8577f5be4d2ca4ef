"""What a run does with datums: Pachyderm's documented behaviours, asked of the command line.

Every test is a small history of one project: files are put, changed and removed, pipelines edited, and
after each step it is asked how many datums ran, were reused, failed, and what came out. Where trunkline
is meant to be better than Pachyderm, the test says so. `docs/pachyderm-conformance.md` names these tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Done, Tree

PIPELINE = """\
pipeline: p
stages:
"""


class World:
    """A project with one source dataset `raw`, and what its last run did."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def put(self, **files: str) -> None:
        """Write files of `raw`; `__` stands for a slash."""
        for name, text in files.items():
            self.tree.write(f"data/raw/{name.replace('__', '/')}", text)

    def remove(self, name: str) -> None:
        """Remove a file of `raw`."""
        (self.tree.root / "data/raw" / name).unlink()

    def stages(self, **stages: str) -> None:
        """Write the pipeline: each stage's declaration, indented below its name."""
        text = PIPELINE
        for name, lines in stages.items():
            text += f"  {name}:\n" + "".join(f"    {line}\n" for line in lines.strip().splitlines())
        self.tree.write("pipelines/p.yaml", text)

    def run(self, *options: str, code: int = 0, **variables: str) -> Done:
        """`trunkline run`."""
        done = self.tree.trunkline("run", *options, check=False, **variables)
        assert done.code == code, f"{done.code}\n{done.out}\n{done.err}"
        return done

    def counts(self, stage: str = "s") -> dict[str, int]:
        """How the datums of a stage fared in the last run."""
        stages = {
            each["stage"]: each for each in self.tree.trunkline("show", "latest", "--json").data["stages"]
        }
        return {word: number for word, number in stages[f"p.{stage}"]["datums"].items() if number}

    def out(self, stage: str = "s") -> dict[str, str]:
        """The published output of a stage, by path."""
        found = self.tree.contents(f"data/p/{stage}")
        return {path.removeprefix(f"data/p/{stage}/"): text.decode() for path, text in found.items()}

    def sh(self, script: str, glob: str = "raw/*", more: str = "") -> str:
        """A stage that is a shell script; the input is called `in`."""
        return f"cmd: [sh]\nstdin: ['{script}']\ninput: {{x: {glob}}}\n{more}"


@pytest.fixture
def world(tree: Tree) -> World:
    """`raw` with three files, versioned and committed."""
    made = World(tree)
    made.put(a="a", b="b", c="c")
    tree.dvc("add", "-q", "data/raw")
    tree.commit()
    return made


def copying(world: World, glob: str = "raw/*", more: str = "") -> str:
    """A stage that copies its input."""
    return world.sh('cp -r "$x" pfs/out/', glob, more)


# ---------------------------------------------------------------- what is processed, what is skipped


def test_only_what_changed_is_processed(world: World) -> None:
    world.stages(s=copying(world))
    world.run()
    assert world.counts() == {"run": 3, "total": 3}
    assert "up to date" in world.run().out  # a commit without a change: nothing is processed
    world.put(b="B", d="d")
    world.remove("a")
    world.run()
    assert world.counts() == {"run": 2, "reuse": 1, "drop": 1, "total": 3}
    assert world.out() == {"b": "B", "c": "c", "d": "d"}  # the output of a datum that is gone is gone


def test_a_removed_file_that_comes_back_is_skipped(world: World) -> None:
    """Pachyderm compares with one base commit, and processes it again."""
    world.stages(s=copying(world))
    world.run()
    world.remove("a")
    world.run()
    world.put(a="a")
    world.run()
    assert world.counts() == {"reuse": 3, "total": 3}


def test_a_directory_is_one_datum_with_all_of_its_content(world: World) -> None:
    world.put(x__1="1", x__2="2", y__1="1")
    world.stages(s=copying(world))
    world.run()
    assert world.counts() == {"run": 5, "total": 5}
    world.put(x__2="two")
    world.run()
    assert world.counts() == {"run": 1, "reuse": 4, "total": 5}
    assert world.out()["x/2"] == "two"


def test_no_match_is_no_datum_and_success(world: World) -> None:
    world.stages(s=copying(world, "raw/*.csv"))
    world.run()
    assert world.counts() == {}
    assert world.out() == {}


def test_changed_code_is_processed_again_and_reprocess_is_force(world: World) -> None:
    """Pachyderm leaves code out of the datum's hash, and skips all of them until `--reprocess`."""
    world.stages(s=copying(world))
    world.run()
    world.stages(s=world.sh('tr a-z A-Z < "$x" > pfs/out/$(basename "$x")'))
    world.run()
    assert world.counts() == {"run": 3, "total": 3}
    assert world.out() == {"a": "A", "b": "B", "c": "C"}
    world.stages(s=copying(world))
    world.run()
    assert world.counts() == {"reuse": 3, "total": 3}  # the earlier version's results are known still
    world.run("--force")
    assert world.counts() == {"run": 3, "total": 3}


def test_an_older_commit_of_the_data_is_not_processed_again(world: World) -> None:
    """Rewinding a branch of Pachyderm makes a new commit downstream; what it skips depends on its base."""
    world.stages(s=copying(world))
    world.run()
    world.tree.commit("one")
    world.put(a="A", b="B")
    world.run()
    world.tree.commit("two")
    world.tree.git("checkout", "-q", "HEAD~1", "--", "data/raw.dvc")
    world.tree.dvc("checkout", "-q", "data/raw.dvc")
    world.run()
    assert world.counts() == {"reuse": 3, "total": 3}
    assert world.out() == {"a": "a", "b": "b", "c": "c"}


def test_every_job_processes_all_whenever_it_runs(world: World) -> None:
    world.stages(s=copying(world, more="reprocess_spec: every_job"))
    world.run()
    world.put(a="A")
    world.run()
    assert world.counts() == {"run": 3, "total": 3}


def test_a_reference_input_decides_nothing(world: World) -> None:
    world.tree.write("data/base/limits", "1")
    world.tree.dvc("add", "-q", "data/base")
    cross = """
cmd: [sh]
stdin: ['cp "$x" pfs/out/']
input: {cross: [{name: x, dataset: raw, glob: "/*"}, {name: base, dataset: base, glob: "/", reference: true}]}
"""
    world.stages(s=cross)
    world.run()
    world.tree.write("data/base/limits", "2")
    world.run()
    assert world.counts() == {"reuse": 3, "total": 3}


def test_propagation_never_starts_nothing_and_is_read_by_the_next_job(world: World) -> None:
    world.tree.write("data/base/limits", "1")
    world.tree.dvc("add", "-q", "data/base")
    never = """
cmd: [sh]
stdin: ['cat "$x" pfs/base/limits > pfs/out/$(basename "$x")']
input:
  cross:
    - {name: x, dataset: raw, glob: "/*"}
    - {name: base, dataset: base, glob: "/", propagation: never}
"""
    world.stages(s=never)
    world.run()
    assert world.out() == {"a": "a1", "b": "b1", "c": "c1"}
    world.tree.write("data/base/limits", "2")
    assert "up to date" in world.run().out
    world.put(a="A")
    world.run()
    assert world.out() == {"a": "A2", "b": "b2", "c": "c2"}


# ---------------------------------------------------------------- failure and recovery


def test_a_failed_datum_fails_its_stage_and_what_is_downstream(world: World) -> None:
    failing = world.sh('test $(cat "$x") != b && cp "$x" pfs/out/', more="datum_tries: 1")
    world.stages(s=failing, t=copying(world, "s/*"), u=copying(world, "t/*"))
    done = world.run(code=3)
    assert world.counts() == {"run": 2, "failed": 1, "total": 3}  # the others of the stage are processed
    assert world.out() == {}  # nothing of a failed job is inherited
    shown = world.tree.trunkline("show", "latest").out
    assert "p.t" in shown
    assert "p.u" in shown
    assert "skipped" in shown
    assert "b" in done.err
    world.put(b="bee")
    world.run()
    # Better: what succeeded in the failed job is not repeated (Pachyderm: DataProcessed=3).
    assert world.counts() == {"run": 1, "reuse": 2, "total": 3}
    assert world.out("u") == {"a": "a", "b": "bee", "c": "c"}


def test_a_datum_is_tried_three_times(world: World, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    script = f'echo >> {tries}-$(basename "$x"); test $(cat "$x") != b || test $(wc -l < {tries}-b) -ge LEAST'
    world.stages(s=world.sh(script.replace("LEAST", "3")))
    world.run()
    assert world.counts() == {"run": 3, "total": 3}
    assert len((tmp_path / "tries-b").read_text()) == 3
    world.stages(s=world.sh(script.replace("LEAST", "9"), more="datum_tries: 1"))
    world.run(code=3)
    assert len((tmp_path / "tries-b").read_text()) == 4


def test_err_cmd_recovers_a_datum(world: World, tmp_path: Path) -> None:
    log = tmp_path / "errors"
    more = f"""datum_tries: 2
err_cmd: [sh]
err_stdin: ['echo error >> {log}; test -e {tmp_path}/rescue']
"""
    script = f'cp "$x" pfs/out/; test $(cat "$x") != b || test -e {tmp_path}/mended'
    world.stages(s=world.sh(script, more=more), t=copying(world, "s/*"))
    world.run(code=3)  # err_cmd fails too
    assert log.read_text().count("error") == 2  # after each failed try
    (tmp_path / "rescue").touch()
    world.run()
    assert world.counts() == {"reuse": 2, "recovered": 1, "total": 3}
    assert world.out("t") == {"a": "a", "c": "c"}  # its output is dropped, the job succeeds
    assert "up to date" in world.run().out
    (tmp_path / "mended").touch()
    world.run("--retry-recovered")
    assert world.counts() == {"run": 1, "reuse": 2, "total": 3}
    assert world.out("t") == {"a": "a", "b": "b", "c": "c"}


def test_accepted_return_codes(world: World) -> None:
    script = 'cp "$x" pfs/out/; test $(cat "$x") != b || exit 3'
    world.stages(s=world.sh(script, more="datum_tries: 1"))
    world.run(code=3)
    world.stages(s=world.sh(script, more="datum_tries: 1\naccept_return_code: [3]"))
    world.run()
    assert world.out() == {"a": "a", "b": "b", "c": "c"}


def test_time_limits(world: World, tmp_path: Path) -> None:
    script = f'cp "$x" pfs/out/; test $(cat "$x") != b || sleep 60; touch {tmp_path}/$(basename "$x")'
    world.stages(s=world.sh(script, more="datum_tries: 1\ndatum_timeout: 2s"))
    done = world.run(code=3)
    assert world.counts() == {"run": 2, "failed": 1, "total": 3}
    assert "datum_timeout" in done.out
    world.stages(s=world.sh(script + "; true", more="job_timeout: 3s"))
    done = world.run(code=3)
    assert "job_timeout" in done.out + done.err
    assert not (tmp_path / "b").exists()


def test_two_datums_that_write_one_path(world: World) -> None:
    world.stages(s=world.sh('cp "$x" pfs/out/same'))
    done = world.run(code=3)
    assert "two datums" in done.err
    assert "same" in done.err
    assert world.out() == {}
    moved = 'cp "$x" "pfs/out/$(cat "$x")"'
    world.stages(s=world.sh(moved))
    world.run()
    world.put(a="b", b="a")  # each path is written by the other datum now
    world.run()
    assert world.out() == {"a": "a", "b": "b", "c": "c"}


# ---------------------------------------------------------------- how a datum is executed


def test_a_program_need_not_read_its_input_and_takes_its_group_with_it(world: World, tmp_path: Path) -> None:
    script = f'cp "$x" pfs/out/; (sleep 600; touch {tmp_path}/late) & echo $! >> {tmp_path}/pids'
    stage = world.sh(script).replace("cmd: [sh]", "cmd: [sh, -c, 'read line; eval \"$line\"']")
    world.stages(s=stage.replace("'touch", "touch"))
    world.run()
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_a_program_is_told(world: World) -> None:
    script = 'echo $PACH_DATUM_ID $PACH_JOB_ID $PPS_PIPELINE_NAME $x $x_COMMIT > pfs/out/$(basename "$x")'
    world.stages(s=world.sh(script))
    run = world.run().out.split()[1]
    datum, job, pipeline, path, commit = world.out()["a"].split()
    rows = {row["name"]: row for row in world.tree.trunkline("datums", "p.s", "--json").data}
    assert datum == rows["a"]["id"]
    assert (job, pipeline, path, commit) == (run, "p.s", "pfs/x/a", rows["a"]["inputs"][0]["hash"])


def test_links_in_the_output_become_files(world: World, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/file").write_text("far")
    script = (
        f'n=$(basename "$x"); ln -s "$PWD/$x" pfs/out/$n; ln -s ../../$x pfs/out/rel-$n; '
        f"ln -s {tmp_path}/far pfs/out/dir-$n"
    )
    world.stages(s=world.sh(script, "raw/a"))
    world.run()
    assert world.out() == {"a": "a", "rel-a": "a", "dir-a/file": "far"}
    assert not any(path.is_symlink() for path in (world.tree.root / "data/p/s").rglob("*"))


def test_empty_files_are_names_whose_content_can_be_passed_on(world: World) -> None:
    stage = """
cmd: [sh]
stdin: ['wc -c < "$x" > pfs/out/size-$(basename "$x"); ln -s "$PWD/$x" pfs/out/']
input: {name: x, dataset: raw, glob: "/*", empty_files: true}
"""
    world.stages(s=stage)
    world.run()
    out = world.out()
    assert out["size-a"].strip() == "0"
    assert out["a"] == "a"


# ---------------------------------------------------------------- stages together


def test_a_diamond_runs_once_and_sees_one_version(world: World) -> None:
    world.stages(
        b=world.sh('sed s/^/b-/ "$x" > pfs/out/$(basename "$x")'),
        c=world.sh('sed s/^/c-/ "$x" > pfs/out/$(basename "$x")'),
        d="""
cmd: [sh]
stdin: ['cat "$b" "$c" > pfs/out/$(basename "$b")']
input:
  join:
    - {name: b, dataset: b, glob: "/(*)", join_on: $1}
    - {name: c, dataset: c, glob: "/(*)", join_on: $1}
""",
    )
    world.run()
    world.put(a="A")
    run = world.run().out.split()[1]
    assert world.counts("d") == {"run": 1, "reuse": 2, "total": 3}
    assert world.out("d")["a"] == "b-Ac-A"
    shown = world.tree.trunkline("show", run, "--json").data["stages"]
    assert [stage["stage"] for stage in shown] == ["p.b", "p.c", "p.d"]  # one id for all that came of it


def test_states_of_a_job_can_be_asked(world: World) -> None:
    world.stages(s=world.sh('test $(cat "$x") != b && cp "$x" pfs/out/', more="datum_tries: 1"))
    world.run(code=3)
    world.put(d="d")
    world.run(code=3)
    rows = world.tree.trunkline("datums", "p.s", "--run", "latest", "--json").data
    assert {row["name"]: row["state"] for row in rows} == {
        "a": "reused",
        "b": "failed",
        "c": "reused",
        "d": "run",
    }
    failed = world.tree.trunkline("datums", "p.s", "--run", "latest", "--state", "failed", "--json").data
    assert [row["name"] for row in failed] == ["b"]
    world.put(b="bee")
    world.run("--only-failed")
    assert world.counts() == {"run": 1, "reuse": 3, "total": 4}
