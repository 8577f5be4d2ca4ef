"""Pipeline files: text in, values out. Pure: no file, clock or process is touched here.

check       every pipeline file -> pipelines, or all problems at once
compile     pipelines -> dvc.yaml, and where a stage's entry there is stale; -> prefect.yaml
schema      what editors know of a pipeline file
read        YAML as DVC reads it
"""

from trunkline.spec.check import Known, check
from trunkline.spec.compile import compile_dvc, stale
from trunkline.spec.compile_prefect import ENTRYPOINT, compile_prefect, project_name
from trunkline.spec.entries import deps, stage_entry
from trunkline.spec.owned import foreign_outputs, stage_names
from trunkline.spec.read import load, read, value
from trunkline.spec.schema import pipeline_schema, schema_text

__all__ = [
    "ENTRYPOINT",
    "Known",
    "check",
    "compile_dvc",
    "compile_prefect",
    "deps",
    "foreign_outputs",
    "load",
    "pipeline_schema",
    "project_name",
    "read",
    "schema_text",
    "stage_entry",
    "stage_names",
    "stale",
    "value",
]
