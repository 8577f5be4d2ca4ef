"""Rules about what counts as a stage's code beside files."""

from __future__ import annotations

from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import fields_of
from trunkline.spec.keys import FINGERPRINT
from trunkline.spec.names import PACKAGE, package_name
from trunkline.spec.world import World


def packages(stage: StageDraft, world: World) -> None:
    """`fingerprint` names packages that are installed, each once."""
    node = stage.fields.values.get("fingerprint")
    if node is None:
        return
    what = f"'fingerprint' of {stage.fields.what}"
    fields = fields_of(node, stage.fields.keys["fingerprint"], what, FINGERPRINT, stage.say)
    names = fields.texts("packages")
    if "packages" in fields.values and not names:
        advice = "write packages: [scikit-learn]"
        stage.say.at(fields.keys["packages"], f"'packages' of {what} names no package", advice)
    seen: set[str] = set()
    for name in names:
        package = package_name(name.text)
        if not PACKAGE(name.text):
            advice = "write it as `pip list` shows it"
            stage.say.at(name.node, f"'{name.text}' cannot be the name of a package", advice)
        elif package in seen:
            stage.say.at(name.node, f"the package '{name.text}' is named twice", "keep one of them")
        elif world.known.packages is not None and not world.known.packages(package):
            advice = "install it, or correct the name: `pip list` shows what there is"
            stage.say.at(name.node, f"the package '{name.text}' is not installed here", advice)
        seen.add(package)
