"""The rules of the specification: small functions in lists.

Each says what it finds wrong, and nothing else; what has the wrong form was reported when the
drafts were made. A new rule is a function here and a passing and a failing example in the tests.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.rules import (
    deploys,
    files,
    fingerprints,
    inputs,
    machines,
    outputs,
    running,
    schedules,
    work,
)
from trunkline.spec.world import World

STAGE_RULES: tuple[Callable[[StageDraft, World], None], ...] = (
    work.stage_name,
    work.run_or_cmd,
    work.run_is_a_function,
    work.run_exists,
    work.cmd_is_not_empty,
    work.stdin_needs_cmd,
    work.code_files,
    work.param_names,
    work.params_are_plain,
    work.texts_can_be_locked,
    work.nothing_shared,
    work.env_names_and_values,
    running.time_limits,
    running.resources,
    running.datum_sets,
    running.return_codes,
    running.err_cmd,
    running.reprocess_spec,
    running.secrets,
    fingerprints.packages,
    outputs.model_fields,
    outputs.metrics_paths,
    outputs.plots_paths,
    outputs.outputs_do_not_overlap,
    inputs.input_names,
    inputs.datasets_are_known,
    inputs.shared_names_agree,
    inputs.globs_are_well_formed,
    inputs.members_have_keys,
    inputs.keys_have_captures,
    inputs.outer_joins,
    inputs.propagation,
    inputs.clocks,
    inputs.no_self_input,
)

FILE_RULES: tuple[Callable[[PipelineDraft, World], None], ...] = (
    files.pipeline_name,
    files.file_name,
    files.has_stages,
    files.no_source_of_that_name,
    files.one_clock_a_name,
    schedules.one_way_each,
    schedules.crons,
    schedules.intervals,
    schedules.rrules,
    schedules.timezones,
    schedules.slugs,
    schedules.parameters,
    deploys.catch_up,
    deploys.branches,
    deploys.work_pools,
    deploys.repositories,
    machines.pool,
)

WORLD_RULES: tuple[Callable[[World], None], ...] = (
    files.one_file_each,
    files.one_stage_a_model,
    files.no_cycles,
    deploys.one_branch_each,
)
