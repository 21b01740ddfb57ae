"""Guards the steps' versions: code that decides a result may not change under the same version.

tests/golden/step_versions.json holds, for every step, its version and a fingerprint
of the modules it reaches (their syntax trees, so comments and docstrings do not
count). When a test here fails, decide: would the same inputs now give something else?
Then raise the step's version. Either way record the new state:

    python tests/tasks/test_versions.py            refuses steps whose version is unchanged
    python tests/tasks/test_versions.py --same     the change alters no result
"""

import ast
import hashlib
import json
import sys
from functools import cache
from pathlib import Path

import pytest

from tasks import (
    encode_codes,
    ingest,
    mels,
    memory,
    package,
    train_prior,
    train_rvqvae,
    train_texture,
    train_vocoder,
)
from tasks import judge as judging
from tasks import validate as validation
from tasks.step import Step

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "golden" / "step_versions.json"
STEPS: list[Step] = [
    ingest.gather_sounds,
    mels.analyse_mels,
    train_rvqvae.train_rvqvae,
    encode_codes.encode_codes,
    train_texture.train_texture,
    train_prior.train_prior,
    judging.judge,
    train_vocoder.train_freev,
    train_vocoder.train_hifigan,
    validation.validate,
    memory.compare_with_parent,
    package.package_model,
]
# What a person sees, where data lies, and values that are part of the key anyway.
NO_RESULT = {
    "artifacts.checkpoint", "artifacts.library", "artifacts.locks", "artifacts.store",
    "core.config", "core.errors", "core.presets", "tasks.dashboard", "tasks.interrupt",
    "tasks.progress", "tasks.step",
}  # fmt: skip


def without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:] or [ast.Pass()]
    return tree


@cache
def source(module: str) -> tuple[str, tuple[str, ...]]:
    """A module's syntax tree as text, and the modules of ours that it imports."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    tree = without_docstrings(ast.parse(path.read_text()))
    imported = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        imported |= {name for name in names if (ROOT / f"{name.replace('.', '/')}.py").is_file()}
    return ast.dump(tree), tuple(sorted(imported))


def fingerprint(step: Step) -> str:
    """Digest of every module that the step's own module reaches."""
    reached: set[str] = set()
    waiting = [step.body.__module__]
    while waiting:
        module = waiting.pop()
        if module not in reached and module not in NO_RESULT:
            reached.add(module)
            waiting += source(module)[1]
    digest = hashlib.sha256()
    for module in sorted(reached):
        digest.update(f"{module}\n{source(module)[0]}\n".encode())
    return digest.hexdigest()[:16]


def state() -> dict[str, dict[str, object]]:
    return {one.name: {"version": one.version, "code": fingerprint(one)} for one in STEPS}


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="syntax trees print otherwise on another Python"
)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_changed_code_has_a_new_version(step: Step) -> None:
    recorded = json.loads(RECORD.read_text())[step.name]
    assert {"version": step.version, "code": fingerprint(step)} == recorded, (
        f"the code behind {step.name} has changed: see the top of {Path(__file__).name}"
    )


def test_a_comment_or_docstring_changes_no_fingerprint() -> None:
    plain = ast.dump(without_docstrings(ast.parse("def f():\n    return 1")))
    talkative = ast.dump(
        without_docstrings(ast.parse('"""A."""\n# b\ndef f():\n    """C."""\n    return 1'))
    )
    changed = ast.dump(without_docstrings(ast.parse("def f():\n    return 2")))
    assert plain == talkative != changed


if __name__ == "__main__":
    old = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name, now in state().items():
        before = old.get(name, {})
        unraised = before.get("code") != now["code"] and before.get("version") == now["version"]
        if unraised and "--same" not in sys.argv:
            sys.exit(f"{name}: the code changed but its version is still {now['version']}")
    RECORD.write_text(json.dumps(state(), indent=1) + "\n")
