"""The page for people, at `/docs`: what is served, what it takes, how to ask. Nothing on it is loaded from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { font-weight: 600 } h2 { margin-top: 2rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem 1.5rem .2rem 0; border-bottom: 1px solid #ddd }
code, pre, textarea { font: 13px/1.5 ui-monospace, monospace } pre { background: #f5f5f5; padding: .8rem; overflow: auto }
textarea { width: 100%; box-sizing: border-box }
"""
_SCRIPT = """\
const form = document.querySelector("form"), said = document.querySelector("#said");
form.addEventListener("submit", async event => {
  event.preventDefault();
  const file = form.elements.file?.files[0];
  const body = form.elements.text ? form.elements.text.value : file;
  const type = form.elements.text ? form.dataset.type : (file?.type || "image/jpeg");
  const answer = await fetch("predict", {method: "POST", headers: {"Content-Type": type}, body});
  said.textContent = `${answer.status}\\n${JSON.stringify(await answer.json(), null, 2)}`;
});
"""


def page(url: str, schema: dict[str, Any], openapi: dict[str, Any], example: dict[str, Any]) -> str:
    """The page as HTML; `url` is where the server is asked."""
    model = schema["model"]
    name = escape(model["name"])
    paths = [
        (f"<code>{method.upper()} {escape(path)}</code>", escape(what.get("summary", "")))
        for path, methods in openapi["paths"].items()
        for method, what in methods.items()
    ]
    inputs = [(_code(each["name"]), _code(_type(each)), escape(each["value"])) for each in schema["inputs"]]
    outputs = [(_code(each["name"]), _code(_type(each))) for each in schema["outputs"]]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style></head><body>
<h1>{name}</h1>
{_table([("version", _code(model["version"])), ("run", _code(model["run"] or "unknown"))])}
<p>{escape(openapi["info"]["description"])} <a href="openapi.json">openapi.json</a></p>
<h2>Paths</h2>
{_table(paths)}
<h2>What it takes</h2>
<p>{", ".join(map(_code, schema["accepts"]))}</p>
{_table(inputs)}
<h2>What it answers</h2>
<p>{", ".join(map(_code, schema["answers"]))}</p>
{_table(outputs)}
{_classes(schema["classes"])}
<h2>Ask</h2>
<pre>{escape(curl(url, schema, example))}</pre>
{_form(schema, example)}
<pre id="said"></pre>
<script>{_SCRIPT}</script>
</body></html>
"""


def curl(url: str, schema: dict[str, Any], example: dict[str, Any]) -> str:
    """How one asks from a shell."""
    if schema["kind"] == "image":
        return f"curl {url}/predict -H 'Content-Type: image/jpeg' --data-binary @picture.jpg"
    if schema["kind"] == "text":
        return f"curl {url}/predict -H 'Content-Type: text/plain' --data-binary @lines.txt"
    row = json.dumps({"rows": [example]}).replace("'", "'\\''")
    return f"curl {url}/predict -H 'Content-Type: application/json' -d '{row}'"


def _form(schema: dict[str, Any], example: dict[str, Any]) -> str:
    if schema["kind"] == "image":
        return (
            '<form><input type="file" name="file" accept="image/*" required> <button>predict</button></form>'
        )
    text = json.dumps({"rows": [example]}, indent=2)
    return (
        f'<form data-type="application/json"><textarea name="text" rows="{min(text.count(chr(10)) + 2, 24)}">'
        f"{escape(text)}</textarea><br><button>predict</button></form>"
    )


def _type(each: dict[str, Any]) -> str:
    return f"{each['type']}[{','.join('N' if size is None else str(size) for size in each['shape'])}]"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _classes(names: list[Any]) -> str:
    some = ", ".join(_code(str(name)) for name in names[:50])
    return f"<p>classes, from 0: {some}{', …' if len(names) > 50 else ''}</p>" if names else ""


def _table(rows: list[Any]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
