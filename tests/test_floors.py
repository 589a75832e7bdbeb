"""Imports point downward: a module may import from lower floors and from its own package."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "harness"

FLOOR = {
    "types": 0, "errors": 0, "registry": 0, "paths": 0, "yamlfile": 0, "scorers": 0, "memory": 0,
    "network": 0, "__version__": 0,
    "metrics": 1,
    "models": 2, "engine": 2,
    "data": 3, "definition": 3, "entries": 3, "method": 3, "task": 3, "suite": 3,
    "suite_file": 3,
    "kinds": 4, "streams": 4,
    "first_stage": 5, "candidates": 5, "check": 5,
    "jobs": 5, "plan": 5, "record": 5, "scoring": 5, "encoding": 5, "run": 5, "store": 5,
    "prefetch": 4,
    "report": 6,
    "cli": 7, "__init__": 8, "__main__": 8,
}  # fmt: skip

# Within a floor: who may lean on whom.
SIDEWAYS = {
    ("yamlfile", "errors"), ("registry", "errors"), ("memory", "errors"),
    ("scorers", "errors"), ("scorers", "types"),
    ("engine", "models"), ("entries", "data"), ("entries", "definition"),
    ("definition", "data"), ("method", "data"), ("method", "definition"),
    ("task", "data"), ("task", "definition"), ("task", "entries"), ("task", "method"),
    ("suite", "suite_file"), ("suite_file", "data"), ("suite_file", "definition"),
    ("suite", "definition"), ("suite", "task"), ("suite", "data"), ("data", "task"),
    ("jobs", "first_stage"), ("scoring", "first_stage"), ("run", "first_stage"), ("plan", "first_stage"),
    ("candidates", "first_stage"), ("candidates", "jobs"), ("candidates", "encoding"),
    ("candidates", "scoring"), ("run", "candidates"), ("plan", "candidates"),
    ("check", "jobs"), ("plan", "jobs"), ("scoring", "jobs"), ("scoring", "record"), ("scoring", "store"),
    ("encoding", "jobs"), ("encoding", "scoring"),
    ("run", "encoding"), ("run", "scoring"), ("run", "jobs"), ("run", "record"), ("run", "store"),
}  # fmt: skip

# The shapes of examples belong to the data floor and are read by everybody.
MODULES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py"))


def room(module: Path) -> str:
    return module.parts[0] if len(module.parts) > 1 else module.stem


def named(path: Path) -> set[str]:
    """What a file imports of the package, dotted and without its name; `if TYPE_CHECKING` blocks left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "harness":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return {name.removeprefix("harness.") for name in found if name.startswith("harness.")}


def imports(path: Path) -> set[str]:
    """Rooms that a file imports from."""
    return {name.split(".")[0] for name in named(path)}


def circles(root: Path) -> list[str]:
    """Modules that import each other, directly or not, wherever in the file the import stands."""
    files = {".".join(p.relative_to(root).with_suffix("").parts): p for p in root.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        # `from harness.a import b` names the module a.b, or b in the module a
        parts = {n if n in files else n.rpartition(".")[0] for n in named(path)}
        graph[module] = (parts & set(files)) - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_downward(module: Path) -> None:
    here = room(module)
    assert here in FLOOR, f"{here} has no floor"
    for there in imports(ROOT / module):
        allowed = there == here or FLOOR[there] < FLOOR[here] or (here, there) in SIDEWAYS
        assert allowed, f"{module} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})"


def test_no_module_imports_itself_in_a_circle() -> None:
    assert not circles(ROOT)


def test_modules_stay_small() -> None:
    long = {
        str(m): n for m in MODULES if (n := len((ROOT / m).read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


def test_the_check_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from harness.cli import main\nimport harness.run\n")
    assert imports(bad) == {"cli", "run"}
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.py").write_text(f"def f():\n    from harness.{other} import f\n")
    assert circles(tmp_path) == ["a", "b", "a"] or circles(tmp_path) == ["b", "a", "b"]
