"""What the shell offers behind <TAB>, asked as bash asks, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.mteb_catalog import catalog
from tests.cli.test_cli import ROOT

_SCRIPT = """
import sys
sys.argv = ["harness"]
from harness.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "mteb", "datasets", "sentence_transformers", "sklearn", "pandas"}
    print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def offered(line: str, cache: Path) -> list[str]:
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_HARNESS_COMPLETE": "complete_bash"}
    env = {**os.environ, **asked, "PYTHONPATH": str(ROOT), "HARNESS_CACHE": str(cache), "HARNESS_DATA": ""}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, env=env, check=True
    )
    assert done.stderr.strip() == "", "nothing heavy is imported, nothing is said"
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "due", "never"),
    [
        ("harness eval --suite jm", {"jmteb", "jmteb-v2"}, "smoke"),
        ("harness eval multilingual-e5-s", {"multilingual-e5-small"}, "fake"),
        ("harness eval bm25 --task Smoke", {"SmokeSTS"}, "SciFact"),
        ("harness eval bm25 --protocol jm", {"jmteb", "jmteb-1.3.3"}, "mteb"),
        ("harness prefetch cm", {"cmteb"}, "jmteb"),
        ("harness leaderboard jm", {"jmteb", "jmteb-v2"}, "smoke"),
        ("harness gate bm25 --baseline multilingual-e5-s", {"multilingual-e5-small"}, "bm25"),
        ("harness compare bm25 multilingual-e5-s", {"multilingual-e5-small"}, "bm25"),
        ("harness prefetch cmteb minil", {"minilm"}, "cmteb"),
        ("harness show ", {"cmteb", "minilm", "SmokeSTS", "intfloat/e5-base-v2"}, "fake"),
    ],
)
def test_names_are_offered(line: str, due: set[str], never: str, tmp_path: Path) -> None:
    """Without a table of mteb's tasks none is made, which would take seconds."""
    found = offered(line, tmp_path)
    assert due <= set(found)
    assert never not in found
    assert all(name.startswith(line.rpartition(" ")[2]) for name in found)
    assert list(tmp_path.iterdir()) == []


def test_tasks_of_mteb_and_of_a_folder_are_offered(shared_cache: Path, tmp_path: Path) -> None:
    catalog(shared_cache)
    (tmp_path / "data" / "SciMine").mkdir(parents=True)
    found = offered(f"harness eval bm25 --data {tmp_path / 'data'} --task Sci", shared_cache)
    assert {"SciMine", "SciFact"} <= set(found)


def test_names_of_ones_own_catalog_are_offered(tmp_path: Path) -> None:
    rows = tmp_path / "rows.yaml"
    rows.write_text("models:\n  zebra: {kind: bi-encoder, adapter: dense, hub: me/zebra}\n")
    assert offered(f"harness eval --catalog {rows} zeb", tmp_path / "cache") == ["zebra"]
    rows.write_text("models: 3")
    assert offered(f"harness eval --catalog {rows} zeb", tmp_path / "cache") == []
