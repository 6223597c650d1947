"""The shape of the code: sizes, habits that are not allowed, and a test for every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import antiphon

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "antiphon"
TESTS = ROOT / "tests"
FILES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

TESTED_WITH = {
    "access/test_keys.py": ("access/tenancy.py",),
    "api/test_admin_project_keys.py": ("api/admin/rotations.py",),
    "api/test_admin_projects.py": ("api/admin/answers.py",),
    "api/test_admin_incidents.py": ("operations/incidents.py",),
    "api/test_admin_operator.py": ("operations/crediting.py",),
    "api/test_audio.py": ("inference/transcription.py",),
    "api/test_chat.py": (
        "api/auth.py",
        "api/chat_answer.py",
        "api/chat_job.py",
        "api/envelope.py",
        "api/sampling.py",
        "api/sse.py",
        "api/writer.py",
        "inference/chat.py",
        "inference/conductor.py",
        "inference/generation.py",
    ),
    "api/test_completions.py": (
        "api/completion_answer.py",
        "api/completion_job.py",
        "inference/completions.py",
    ),
    "grammar/test_schema.py": ("grammar/formats.py", "grammar/keywords.py", "grammar/merge.py"),
    "api/test_edge.py": (
        "api/exchange.py",
        "api/info.py",
        "api/protocol.py",
        "api/routes.py",
    ),
    "api/test_embeddings.py": ("api/embedding_answer.py", "api/embedding_job.py"),
    "api/test_openapi.py": ("api/reference.py",),
    "console/test_shell.py": ("console/console.py", "console/services.py"),
    "api/test_stored.py": ("privacy/stored.py",),
    "catalogue/test_pull.py": ("catalogue/formats.py", "catalogue/offers.py"),
    "catalogue/test_store.py": ("catalogue/digest.py", "catalogue/sources.py"),
    "cli/test_chat.py": ("cli/client.py",),
    "cli/test_cli_backup.py": ("cli/backup.py",),
    "cli/test_checks.py": ("cli/checks/address.py", "cli/checks/installation.py", "cli/checks/machine.py"),
    "cli/test_data_policy.py": ("cli/data.py",),
    "cli/test_tune.py": ("cli/tuning.py",),
    "cli/test_cli_reports.py": ("cli/costs.py", "cli/usage.py"),
    "e2e/test_faults.py": ("cli/serve.py",),
    "cli/test_guardian.py": ("cli/restarts.py",),
    "e2e/test_processes.py": ("cli/gateway.py",),
    "ledger/test_ledger.py": ("ledger/store.py",),
    "ledger/test_posting.py": ("ledger/accounts.py", "ledger/requests.py", "storage/sql.py"),
    "ledger/test_usage.py": ("ledger/buckets.py",),
    "ledger/test_verify.py": ("ledger/tally.py", "ledger/totals.py"),
    "operations/test_purge.py": ("privacy/purging.py",),
    "operations/test_backup.py": (
        "operations/artefacts.py",
        "operations/restore.py",
        "storage/copies.py",
    ),
    "operations/test_moderating.py": ("moderation/evidence.py",),
    "operations/test_operations_dedicated.py": ("operations/affording.py",),
    "pools/test_pool.py": ("pools/replica.py",),
    "runtime/test_ray.py": ("runtime/ray_control.py", "runtime/ray_messages.py"),
    "runtime/test_runtimes.py": ("runtime/base.py",),
    "storage/test_migrations.py": (
        "storage/content_tables.py",
        "storage/ledger_tables.py",
        "storage/metadata.py",
        "storage/people_tables.py",
        "storage/privacy_tables.py",
        "storage/moderation_tables.py",
        "storage/migrations/env.py",
        "storage/migrations/steps.py",
        "storage/status_tables.py",
        "storage/tables.py",
    ),
    "test_authorization.py": ("api/admin/table.py",),
    "test_docs.py": ("api/table.py",),
    "engines/test_contract.py": ("engines/client.py", "engines/completion.py"),
    "engines/test_openai.py": ("engines/dialects.py", "engines/openai_answer.py"),
    "workers/test_chat_app.py": ("workers/chat/pipeline.py",),
    "workers/test_chat_scheduler.py": ("workers/chat/request.py",),
    "workers/test_chat_prepare.py": (
        "workers/chat/convert.py",
        "workers/chat/requantize.py",
        "workers/chat/weights.py",
    ),
    "workers/test_speech_decode.py": ("workers/speech/sniff.py",),
}
"""Modules without a test file of their own: what they do is seen through the test of another."""
NOTHING_TO_TEST = ("engines/base.py", "grammar/problems.py", "workers/speech/values.py")
"""Values without behaviour, and the contract of engines: protocols and one struct."""
SHAPES = ("wire/", "storage/migrations/versions/")
"""Folders of shapes and steps: what uses them is tested, migrations by `tests/storage/test_migrations.py`."""


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """Every node of every file, with the file's path inside the package."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            yield file.relative_to(SOURCE), node


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 50


def test_no_file_is_long() -> None:
    lengths = {str(file.relative_to(SOURCE)): len(file.read_text().splitlines()) for file in FILES}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file.relative_to(SOURCE))
        for file in FILES
        if (text := file.read_text().strip()) and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [place for place in prints if not place.startswith("cli/")] == []


def test_no_error_is_swallowed() -> None:
    swallowed = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(statement, ast.Pass) for statement in node.body))
    ]
    assert swallowed == []


@pytest.mark.requirement("R16")
def test_nothing_is_pickled() -> None:
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
    assert [place for place, name in imports() if name.split(".")[0] in unsafe] == []
    loads = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("torch.load", "joblib.load", "numpy.load")
    ]
    assert loads == []


def test_r16_nothing_loads_what_may_be_pickled() -> None:
    """By calls whose files may hold code; ruff's S301 and S302 look for pickle's and marshal's own."""
    loaders = {"torch", "joblib", "pandas", "dill", "numpy", "np"}
    found = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in ("load", "read_pickle")
        and node.func.value.id in loaders
    ]
    allowed = [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code")
    ]
    assert found + allowed == []


def imports() -> Iterator[tuple[str, str]]:
    for path, node in nodes():
        if isinstance(node, ast.Import):
            yield from ((f"{path}:{node.lineno}", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield f"{path}:{node.lineno}", node.module


def test_there_are_no_globals() -> None:
    assert [f"{path}:{node.lineno}" for path, node in nodes() if isinstance(node, ast.Global)] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    assert [str(file.relative_to(SOURCE)) for file in FILES if marks.search(file.read_text())] == []


def test_every_module_has_a_test() -> None:
    there = {str(Path(file.relative_to(TESTS).parts[0], file.name)) for file in TESTS.glob("*/**/test_*.py")}
    there |= {file.name for file in TESTS.glob("test_*.py")}
    modules = {str(path): mirrors(path) for path in map(lambda file: file.relative_to(SOURCE), FILES)}
    excused = {path for paths in TESTED_WITH.values() for path in paths} | set(NOTHING_TO_TEST)
    untested = {
        path
        for path, wanted in modules.items()
        if not path.endswith(("__init__.py", "__main__.py"))
        and not path.startswith(SHAPES)
        and not wanted & there
    }
    assert untested - excused == set()
    assert set(TESTED_WITH) - there == set()
    assert excused - set(modules) == set()


def mirrors(module: Path) -> set[str]:
    """The test files that would mirror a module, under `tests/`.

    Those of `workers/speech/decode.py`: `test_decode.py`, `test_speech_decode.py` or
    `test_workers_speech_decode.py`, in `workers/`.
    """
    parts = module.with_suffix("").parts
    names = {f"test_{'_'.join(parts[start:])}.py" for start in range(len(parts))}
    return {str(Path(*parts[: len(parts) > 1], name)) for name in names}


def test_the_version_is_the_newest_of_the_change_log() -> None:
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None and newest[1] == antiphon.__version__
