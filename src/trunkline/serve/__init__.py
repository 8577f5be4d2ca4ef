"""A model over HTTP: FastAPI, uvicorn and onnxruntime. `trunkline serve` is its only door.

    found.py      which model: its bytes by content, its name, the run that made it, its lineage
    network.py    the ONNX file as something to compute with; its named, typed inputs are the schema
    bodies.py     what was sent -> columns: rows.py (JSON), tables.py (Parquet, Arrow), pictures.py
    answers.py    what the model says -> JSON, Parquet, Arrow
    refusals.py   what is wrong with what was sent: where, what was expected, what came
    app.py        the paths; guard.py: token, host, headers, load; openapi.py and page.py: what they say
    server.py     a socket, a process, its orderly end

The heavy libraries are imported here, so nothing may import this but the command, when it runs.
"""
