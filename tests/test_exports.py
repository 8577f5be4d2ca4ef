"""A run and a model in the formats of others, each read back by a tool that is not ours."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.flows.browser import browser, program
from tests.support import Tree
from trunkline.lineage.envelope import pae

PIPELINE = """\
pipeline: letters

stages:
  upper:
    run: stages.letters:upper
    input: {raw: letters_raw/*.txt}
    params: {suffix: "!"}
  learn:
    run: stages.letters:learn
    input: {texts: upper}
    params: {least: 2}
    model: {name: letters_model, path: model.json}
  check:
    run: stages.check:check
    input: {model: learn/model.json, texts: upper}
    metrics: [metrics.json]
  summary:
    run: stages.check:summary
    input: {found: check/metrics.json}
    metrics: [summary.json]
"""

STAGES = '''\
"""A model of how often a letter comes, as small as a model can be."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def upper(raw: Path, *, suffix: str):
    return {f"{raw.stem}.parquet": pa.table({"text": [raw.read_text().upper() + suffix]})}


def learn(texts: list[Path], *, least: int):
    words = "".join(pq.read_table(path)["text"][0].as_py() for path in texts)
    return {"model.json": {letter: words.count(letter) for letter in sorted(set(words)) if words.count(letter) >= least}}
'''

CHECK = '''\
"""How well the model knows them."""

from pathlib import Path

import pyarrow.parquet as pq


def check(model: Path, texts: list[Path]):
    import json

    known = json.loads(model.read_text())
    words = "".join(pq.read_table(path)["text"][0].as_py() for path in texts)
    return {"metrics.json": {"known": sum(letter in known for letter in words) / len(words)}}


def summary(found: Path):
    import json

    return {"summary.json": {"checked": json.loads(found.read_text()), "letters": ["A"]}}
'''
MODEL = "data/letters/learn/model.json"


@pytest.fixture(scope="module")
def made(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A project with a model and metrics: run, with an uncommitted edit, committed; then a run that failed."""
    tree = Tree(Path(shutil.copytree(_empty, tmp_path_factory.mktemp("exports") / "project")))
    tree.write("pipelines/letters.yaml", PIPELINE)
    tree.write("stages/letters.py", STAGES)
    tree.write("stages/check.py", CHECK)
    for name in ("alpha", "beta", "gamma"):
        tree.write(f"data/letters_raw/{name}.txt", name)
    tree.dvc("add", "-q", "data/letters_raw")
    tree.trunkline("compile")
    tree.commit("Start")
    tree.git("remote", "add", "origin", "https://somebody:secret@git.example.org/letters.git")
    tree.write("stages/letters.py", STAGES.replace("as small", "about as small"))
    tree.trunkline("run")
    tree.commit("Run")
    tree.write(
        "stages/check.py", CHECK.replace("    import json\n", "    raise ValueError('no such letter')\n")
    )
    tree.trunkline("run", check=False)
    tree.git("checkout", "-q", "stages")
    tree.command("openssl", "genpkey", "-algorithm", "ed25519", "-out", "../key.pem")
    tree.command("openssl", "pkey", "-in", "../key.pem", "-pubout", "-out", "../public.pem")
    return tree


@pytest.fixture(scope="module")
def run(made: Tree) -> str:
    """The id of the run that was done."""
    return str(made.trunkline("runs", "--json").data[-1]["id"])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---------------------------------------------------------------- OpenLineage


def events_of(made: Tree, what: str) -> list[dict[str, Any]]:
    pytest.importorskip("openlineage.client", reason="the extra `lineage` is not installed")
    made.trunkline("export", what, "--format", "openlineage", "-o", "../events.jsonl")
    return [json.loads(line) for line in (made.root.parent / "events.jsonl").read_text().splitlines()]


def test_a_run_is_a_start_and_an_end_for_itself_and_each_stage(made: Tree, run: str) -> None:
    events = events_of(made, run)
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("letters", "START"),
        *(
            (f"letters.{stage}", kind)
            for stage in ("upper", "learn", "check", "summary")
            for kind in ("START", "COMPLETE")
        ),
        ("letters", "COMPLETE"),
    ]
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)
    stages = [event for event in events if event["job"]["name"] != "letters"]
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in stages} == {run}
    assert len({event["run"]["runId"] for event in events}) == 5
    assert len({event["job"]["namespace"] for event in events}) == 1
    assert "secret" not in json.dumps(events)
    code = stages[0]["job"]["facets"]["sourceCodeLocation"]
    assert code["url"] == "https://git.example.org/letters.git"
    assert code["version"] == made.git("rev-parse", "HEAD~1").out.strip()
    own = stages[0]["run"]["facets"]["trunkline_run"]
    month = made.git("for-each-ref", "--format=%(refname)", f"refs/trunkline/runs/*/{run}").out.strip()
    assert own["commit"] == made.git("rev-parse", month).out.strip()
    assert own["dirtyFiles"] == ["stages/letters.py"]


def test_datasets_have_versions_and_schemas_and_meet_between_stages(made: Tree, run: str) -> None:
    ends = {event["job"]["name"]: event for event in events_of(made, run) if event["eventType"] == "COMPLETE"}
    [out] = ends["letters.upper"]["outputs"]
    facets = out["facets"]
    assert out["name"] == "data/letters/upper"
    assert facets["version"]["datasetVersion"] in made.read("dvc.lock")
    assert [(field["name"], field["type"]) for field in facets["schema"]["fields"]] == [("text", "string")]
    assert facets["storage"]["fileFormat"] == "parquet"
    assert out["outputFacets"]["outputStatistics"]["rowCount"] == 3
    inputs = {each["name"]: each for each in ends["letters.check"]["inputs"]}
    assert set(inputs) == {"data/letters/learn", "data/letters/upper"}
    assert inputs["data/letters/upper"]["facets"]["version"] == facets["version"]
    assert set(inputs["data/letters/learn"]["facets"]["trunkline_dataset"]["parts"]) == {MODEL}


def test_a_failed_run_says_why(made: Tree) -> None:
    events = events_of(made, "latest")
    assert [event["eventType"] for event in events] == ["START", "START", "FAIL", "FAIL"]
    error = events[2]["run"]["facets"]["errorMessage"]
    assert "no such letter" in error["message"] + error["stackTrace"]


def test_of_a_model_only_the_stages_that_led_to_it(made: Tree, run: str) -> None:
    events = events_of(made, "letters_model@HEAD")
    assert {event["job"]["name"] for event in events} == {"letters", "letters.upper", "letters.learn"}
    assert {event["run"]["runId"] for event in events if event["job"]["name"] == "letters"} == {run}


def test_every_event_is_what_the_librarys_classes_say(made: Tree, run: str) -> None:
    """Each facet is built again by the class whose schema it names: no unknown key, none that is missing."""
    events = [*events_of(made, run), *events_of(made, "latest")]
    classes = facet_classes()
    base: Any = import_module("openlineage.client.generated.base")
    count = 0
    for event in events:
        assert event["schemaURL"] == base.RunEvent._get_schema()
        base.Run(event["run"]["runId"])
        data = [each for key in ("inputs", "outputs") for each in event.get(key, ())]
        holders = [event["run"]["facets"], event["job"]["facets"], *(each["facets"] for each in data)]
        holders += [each[key] for each in data for key in ("inputFacets", "outputFacets") if key in each]
        for name, facet in ((name, facet) for each in holders for name, facet in each.items()):
            values = {key: value for key, value in facet.items() if key not in ("_schemaURL", "_producer")}
            assert urlsplit(facet["_producer"]).scheme == "https"
            if not name.startswith("trunkline_"):
                classes[facet["_schemaURL"]](**values)
                count += 1
    assert count > 50


def facet_classes() -> dict[str, Any]:
    facets = import_module("openlineage.client.facet_v2")
    modules = [getattr(facets, name) for name in dir(facets) if not name.startswith("_")]
    found: dict[str, Any] = {}
    for module in modules:
        for each in vars(module).values() if hasattr(module, "__file__") else ():
            if hasattr(each, "_get_schema"):
                found[each._get_schema()] = each
    return found


@pytest.mark.skipif(
    "OPENLINEAGE_SPEC" not in os.environ, reason="OPENLINEAGE_SPEC names no directory with the schemas"
)
def test_the_published_schema_holds(made: Tree, run: str) -> None:
    import jsonschema

    schema = json.loads((Path(os.environ["OPENLINEAGE_SPEC"]) / "OpenLineage.json").read_text())
    for event in [*events_of(made, run), *events_of(made, "latest")]:
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(event)


def test_without_the_library_it_says_what_to_install(made: Tree) -> None:
    code = (
        "import sys; sys.modules['openlineage'] = None; from trunkline.cli.main import main;"
        "sys.exit(main(['export', 'latest', '--format', 'openlineage']))"
    )
    done = made.command(sys.executable, "-c", code, check=False)
    assert (done.code, "pip install 'trunkline[lineage]'" in done.err) == (2, True)


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers.get("Authorization"), json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(201)
        self.end_headers()

    def log_message(self, *said: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server that takes events; `taken` has them."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    found.taken = []  # type: ignore[attr-defined]
    thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_a_server_receives_what_the_file_has(made: Tree, run: str, server: ThreadingHTTPServer) -> None:
    events = events_of(made, run)
    url = f"http://127.0.0.1:{server.server_port}"
    done = made.trunkline("export", run, "--format", "openlineage", "--url", url, OPENLINEAGE_API_KEY="k3y")
    assert done.out == f"10 events are sent to {url}\n"
    taken = server.taken  # type: ignore[attr-defined]
    assert {(path, key) for path, key, _ in taken} == {("/api/v1/lineage", "Bearer k3y")}
    assert [event for _, _, event in taken] == events


def test_a_server_that_is_not_there_is_an_error(made: Tree, server: ThreadingHTTPServer) -> None:
    pytest.importorskip("openlineage.client", reason="the extra `lineage` is not installed")
    url = f"http://127.0.0.1:{server.server_port}/elsewhere"
    server.RequestHandlerClass = BaseHTTPRequestHandler  # it takes nothing: 501
    done = made.trunkline("export", "latest", "--format", "openlineage", "--url", url, check=False)
    assert done.code == 3
    assert "the events were not taken: 501" in done.err


# ---------------------------------------------------------------- in-toto


def statement_of(made: Tree, what: str) -> dict[str, Any]:
    return dict(json.loads(made.trunkline("export", what, "--format", "in-toto").out))


def test_the_statement_names_the_model_the_materials_and_the_code(made: Tree, run: str) -> None:
    found = statement_of(made, f"letters_model@{run}")
    [subject] = found["subject"]
    md5 = hashlib.md5((made.root / MODEL).read_bytes()).hexdigest()
    assert subject == {"name": MODEL, "digest": {"sha256": sha256(made.root / MODEL), "md5": md5}}
    materials = {each["name"]: each for each in found["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert set(materials) == {"data/letters_raw", "stages/letters.py", f"run {run}", "git"}
    record = materials[f"run {run}"]
    assert record["annotations"] == {"run": run, "dirty": True}
    kept = made.git("show", f"{record['digest']['gitCommit']}:stages/letters.py").out
    assert "about as small" in kept  # the code as it ran, not as it is committed
    assert made.git("cat-file", "-t", record["digest"]["gitTree"]).out == "tree\n"
    metadata = found["predicate"]["runDetails"]["metadata"]
    assert metadata["invocationId"] == run
    assert metadata["startedOn"] < metadata["finishedOn"]
    assert found["predicate"]["buildDefinition"]["externalParameters"]["letters.learn"] == {"least": 2}


def test_a_run_is_about_all_that_it_made(made: Tree, run: str) -> None:
    subjects = {each["name"]: each["digest"] for each in statement_of(made, run)["subject"]}
    assert set(subjects) == {
        "data/letters/upper", "data/letters/learn", "data/letters/check", MODEL, "data/letters/check/metrics.json",
        "data/letters/summary", "data/letters/summary/summary.json",
    }  # fmt: skip
    assert subjects[MODEL]["sha256"] == sha256(made.root / MODEL)
    command = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -f1 -d' '"
    said = made.command("sh", "-c", f"cd data/letters/upper && {command}").out.strip()
    assert subjects["data/letters/upper"]["dirHash"] == said


def test_in_totos_own_library_reads_it(made: Tree, run: str) -> None:
    """`in-toto-attestation`: the Statement's protocol buffer refuses what it does not know."""
    library: Any = pytest.importorskip("in_toto_attestation.v1.statement")
    provenance: Any = import_module("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    json_format: Any = import_module("google.protobuf.json_format")
    for what in (run, "letters_model"):
        found = statement_of(made, what)
        parsed: Any = json_format.Parse(json.dumps(found), library.spb.Statement())
        library.Statement.copy_from_pb(parsed).validate()
        json_format.Parse(json.dumps(found["predicate"]), provenance.Provenance())


def test_openssl_verifies_the_signature(made: Tree, tmp_path: Path) -> None:
    made.trunkline(
        "export", "letters_model", "--format", "in-toto", "--sign", "../key.pem", "-o", str(tmp_path / "a")
    )
    envelope = json.loads((tmp_path / "a").read_text())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    (tmp_path / "pae").write_bytes(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "../public.pem"]
    files = ["-in", str(tmp_path / "pae"), "-sigfile", str(tmp_path / "sig")]
    assert "Verified Successfully" in made.command(*words, *files).out
    (tmp_path / "pae").write_bytes((tmp_path / "pae").read_bytes().replace(b"model.json", b"model.jsom"))
    assert made.command(*words, *files, check=False).code == 1


def test_the_encoding_that_is_signed_is_dsses() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_verify_checks_the_signature_and_the_bytes(made: Tree, tmp_path: Path) -> None:
    file = str(tmp_path / "signed.json")
    made.trunkline("export", "letters_model", "--format", "in-toto", "--sign", "../key.pem", "-o", file)

    def verify(key: str, *artifact: str) -> tuple[int, str]:
        done = made.trunkline("verify", file, "--key", key, *artifact, check=False)
        return done.code, done.out + done.err

    assert verify("../public.pem") == (0, f"the signature is good; it is about {MODEL}\n")
    copy = shutil.copy(made.root / MODEL, tmp_path / "copied.json")
    for name in (str(copy), "letters_model@HEAD"):
        assert verify("../public.pem", name) == (0, f"the signature is good, and {name} is {MODEL}\n")
    Path(copy).write_text("{}")
    code, said = verify("../public.pem", str(copy))
    assert (code, "is not what it is about: no subject has the sha256" in said) == (1, True)
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "k"],
        check=True,
        capture_output=True,
    )
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "k", "-pubout", "-out", tmp_path / "p"], check=True)
    assert verify(str(tmp_path / "p"))[0] == 1
    envelope = json.loads(Path(file).read_text())
    changed = base64.b64decode(envelope["payload"]).replace(b'"least": 2', b'"least": 3')
    Path(file).write_text(json.dumps({**envelope, "payload": base64.b64encode(changed).decode()}))
    code, said = verify("../public.pem", MODEL)
    assert (code, said.startswith(f"no signature of {file} is by the key")) == (1, True)


# ---------------------------------------------------------------- Mermaid

_SHAPES = (
    r'\[\("[^"]+"\)\]', r'\(\["[^"]+"\]\)', r'\["[^"]+"\]', r'>"[^"]+"\]', r'\{\{"[^"]+"\}\}',
    r'\[/"[^"]+"/\]', r'\[\["[^"]+"\]\]', r'\(\("[^"]+"\)\)',
)  # fmt: skip
_LINES = (
    re.compile(rf"    n\d+({'|'.join(_SHAPES)})"),
    re.compile(r"    n\d+ --> n\d+"),
    re.compile(r"    style n\d+ stroke-width:3px"),
)


@pytest.mark.parametrize("what", ["letters_model", "RUN"])
def test_the_flowchart_is_in_the_grammar(made: Tree, run: str, what: str) -> None:
    first, *lines = made.trunkline("export", what.replace("RUN", run), "--format", "mermaid").out.splitlines()
    assert first == "flowchart LR"
    assert all(any(pattern.fullmatch(line) for pattern in _LINES) for line in lines)
    assert any("letters_model" in line for line in lines)


@pytest.mark.skipif(
    "MERMAID_JS" not in os.environ or program() is None,
    reason="MERMAID_JS names no mermaid.min.js, or no browser",
)
def test_mermaid_itself_draws_it(made: Tree, run: str, tmp_path: Path) -> None:
    text = made.trunkline("export", run, "--format", "mermaid").out
    script = (
        f"mermaid.initialize({{startOnLoad: false}});"
        f"mermaid.render('g', {json.dumps(text)}).then(r => {{ document.body.innerHTML = r.svg + '<p>drawn</p>' }},"
        " e => { document.body.innerText = 'refused ' + e })"
    )
    page = tmp_path / "page.html"
    library = Path(os.environ["MERMAID_JS"]).as_uri()
    page.write_text(f"<body></body><script src='{library}'></script><script>{script}</script>")
    with browser(tmp_path / "profile") as chromium:
        chromium.open(page.as_uri())
        assert "refused" not in chromium.shows("drawn", "letters_model", "letters.upper")


# ---------------------------------------------------------------- model card


def test_the_card_says_what_was_measured(made: Tree, run: str) -> None:
    card = made.trunkline("export", f"letters_model@{run}", "--format", "model-card").out
    _, front, body = card.split("---\n", 2)
    known = yaml.safe_load(front)
    version = hashlib.md5((made.root / MODEL).read_bytes()).hexdigest()
    assert known["tags"] == ["trunkline", "letters"]
    assert known["metrics"] == ["checked.known", "known"]
    assert known["trunkline"] == {
        "name": "letters_model", "path": MODEL, "version": version, "sha256": sha256(made.root / MODEL),
        "run": run, "commit": made.git("rev-parse", "HEAD~1").out.strip(), "dirty": True,
    }  # fmt: skip
    value = json.loads(made.read("data/letters/check/metrics.json"))["known"]
    assert f"| `letters.check` | known | {value} |" in body
    assert f"| `letters.summary` | checked.known | {value} |" in body
    assert "| uncommitted changes | yes: 1 edited files |" in body
    upper = re.search(
        r"\| `data/letters/upper` \| read in training \| `\w+\.dir` \| 3 \| 3 \| [\d,]+ \|", body
    )
    assert upper
    assert re.search(r"\| `data/letters_raw` \| source \| `\w+\.dir` \| 3 \|  \| 14 \|", body)
    assert "| `letters.learn` | `least` | `2` |" in body
    assert f"| `letters.upper` | `stages.letters:upper` | 3 | `{run}` |" in body
    assert f"trunkline.load_model('letters_model@{version[:8]}')" in body
    assert f"trunkline reproduce letters_model@{version[:8]}" in body
    assert "pyarrow" in body
    assert "What is not known" not in body


def test_hugging_face_reads_the_card(made: Tree) -> None:
    hub: Any = pytest.importorskip("huggingface_hub")
    made.trunkline("export", "letters_model", "--format", "model-card", "-o", "../README.md")
    card = hub.ModelCard.load(made.root.parent / "README.md")
    assert card.data.tags == ["trunkline", "letters"]
    assert card.data.metrics == ["checked.known", "known"]
    assert card.data.to_dict()["trunkline"]["sha256"] == sha256(made.root / MODEL)


def test_without_records_the_card_says_what_is_not_known(made: Tree, tmp_path: Path) -> None:
    clone = made.copy(tmp_path / "clone")
    shutil.rmtree(clone.root / ".trunkline")
    card = clone.trunkline("export", "letters_model", "--format", "model-card").out
    assert "- Which run made it: no record is here." in card
    assert "## Environment" not in card
    assert yaml.safe_load(card.split("---\n")[1])["trunkline"]["sha256"] == sha256(made.root / MODEL)


# ---------------------------------------------------------------- asked wrongly


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latest", "--format", "mermaid"], "made nothing"),
        (["latest", "--format", "model-card"], "a model card is of one model, and the run made none"),
        (["latest", "--format", "mermaid", "--sign", "k"], "--sign goes with --format in-toto"),
        (["nothing", "--format", "mermaid"], "there is no dataset, stage, model or file 'nothing'"),
        (
            ["letters_model", "--format", "in-toto", "--sign", "../public.pem"],
            "not an unencrypted private key",
        ),
    ],
)
def test_what_cannot_be_is_said(made: Tree, words: list[str], said: str) -> None:
    done = made.trunkline("export", *words, check=False)
    assert (done.code, said in done.err) == (2, True), done.err
