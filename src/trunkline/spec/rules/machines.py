"""Rules about where the datums of a pipeline are computed."""

from __future__ import annotations

import re

from trunkline.spec.drafts import PipelineDraft
from trunkline.spec.fields import fields_of
from trunkline.spec.keys import ADDRESS_PATTERN, POOL
from trunkline.spec.world import World

_EXAMPLE = 'pool: dask, or pool: {dask: "tcp://scheduler:8786"}'


def pool(pipeline: PipelineDraft, world: World) -> None:
    """`pool` is Dask's, with an address or without."""
    say, fields = pipeline.say, pipeline.fields
    name = fields.text("pool")
    if name is not None:
        if name.text != "dask":
            advice = f"write {_EXAMPLE}; without 'pool', datums are computed on this machine"
            say.at(name.node, f"there is no pool '{name.text}'", advice)
    elif "pool" in fields.values:
        written = fields_of(fields.values["pool"], fields.keys["pool"], "'pool'", POOL, say)
        address = written.text("dask")
        if address is not None and not re.match(ADDRESS_PATTERN, address.text):
            say.at(address.node, f"'{address.text}' is no address of a Dask scheduler", f"write {_EXAMPLE}")
