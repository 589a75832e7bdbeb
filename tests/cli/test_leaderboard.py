"""`harness leaderboard` from the command line."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from harness.cli import leaderboard
from harness.errors import ConfigError, HarnessError
from harness.suite import load_suite
from tests.test_index import foreign, score

REFERENCES = Path(__file__).parents[2] / "results" / "reference"
APP = typer.Typer()  # an app of one command takes its arguments without its name
leaderboard.register(APP)


def call(*arguments: object, catch: bool = True) -> Result:
    return CliRunner().invoke(APP, [*map(str, arguments)], catch_exceptions=catch)


def public(root: Path, revision: str, tasks: list[str], split: str | None = None) -> None:
    """Results of the smoke suite as mteb would write them."""
    for task in load_suite("smoke").tasks:
        if task.name in tasks:
            splits: dict[str, list[dict[str, object]]] = {}
            for own, subset in task.entries:
                name = task.shown
                splits.setdefault(split or own, []).append({**score(0.5, subset), name: 0.5})
            foreign(root / "org__public" / revision, task.name, splits)


def ranks(text: str) -> dict[str, str]:
    return {row["Model"]: row["Rank"] for row in csv.DictReader(io.StringIO(text))}


def test_ours_and_public_results_side_by_side(tmp_path: Path) -> None:
    names = [task.name for task in load_suite("smoke").tasks]
    public(tmp_path, "r1", names[:10])
    public(tmp_path, "r2", names[10:15])
    public(tmp_path, "r2", names[15:], split="other")
    (tmp_path / "org__public" / "r2" / "Cut.json").write_text("{")
    both = ("--results", REFERENCES, "--results", tmp_path, "--format", "csv")
    plain = call("smoke", *both)
    assert plain.exit_code == 0, plain.output
    assert ranks(plain.stdout)["org/public"] == ""
    assert "Cut.json cannot be read" in plain.stderr
    wide = call("smoke", *both, "--any-split")
    assert ranks(wide.stdout)["org/public"] in ("1", "2", "3")
    shown = call("smoke", "--results", tmp_path, "--any-split").stdout
    assert "org/public §†‡" in shown
    assert (tmp_path / "org__public" / "r2" / "Cut.json").is_file()


@pytest.mark.parametrize("form", ["md", "html", "csv", "json", "tex", "svg"])
def test_every_format_twice_the_same_on_screen_and_in_a_file(form: str, tmp_path: Path) -> None:
    said = call("smoke", "--results", REFERENCES, "--format", form)
    written = call("smoke", "--results", REFERENCES, "--format", form, "-o", tmp_path / "new" / "out")
    assert said.exit_code == written.exit_code == 0
    assert (tmp_path / "new" / "out").read_text(encoding="utf-8") == said.stdout
    if form == "json":
        assert json.loads(said.stdout)["rows"][0]["Band"] == "1"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    answer = call("smoke", "--results", tmp_path / "none")
    assert isinstance(answer.exception, HarnessError)
    assert "there is no such folder" in str(answer.exception)
    empty = call("smoke", "--results", tmp_path)
    assert isinstance(empty.exception, HarnessError)
    assert "harness eval MODEL --suite smoke" in str(empty.exception)


def test_json_is_the_format_json_and_quiet_says_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "org__public" / "r1").mkdir(parents=True)
    (tmp_path / "org__public" / "r1" / "Cut.json").write_text("{")
    both = ("--results", REFERENCES, "--results", tmp_path)
    quiet = call("smoke", *both, "--json", "-q", "--offline")
    assert quiet.exit_code == 0
    assert quiet.stderr == ""
    assert quiet.stdout == call("smoke", *both, "--format", "json").stdout
    assert call("smoke", *both, "--json").stderr.count("Cut.json") == 1
    with pytest.raises(ConfigError, match="choose one"):
        call("smoke", *both, "--json", "--format", "csv", catch=False)


@pytest.mark.parametrize("where", [".", "file/inside.md"])
def test_an_output_that_cannot_be_written_is_an_error_that_names_it(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        call("smoke", "--results", REFERENCES, "-o", tmp_path / where, catch=False)


def test_the_plot_of_a_leaderboard_as_svg_and_png(tmp_path: Path) -> None:
    drawn = call("smoke", "--results", REFERENCES, "--format", "svg")
    assert drawn.exit_code == 0
    assert ET.fromstring(drawn.stdout).tag.endswith("svg")
    assert "all-MiniLM-L6-v2: 65.93, Parameters 22.7M" in drawn.stdout
    with pytest.raises(ConfigError, match="needs a file"):
        call("smoke", "--results", REFERENCES, "--format", "png", catch=False)
    pytest.importorskip("matplotlib")
    file = tmp_path / "new" / "front.png"
    assert call("smoke", "--results", REFERENCES, "--format", "png", "-o", file).exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    public(tmp_path, "r1", [task.name for task in load_suite("smoke").tasks])
    with pytest.raises(ConfigError, match="no row has both"):
        call("smoke", "--results", tmp_path, "--format", "svg", catch=False)


@pytest.mark.parametrize("form", ["md", "html", "csv", "json", "tex"])
def test_names_of_files_that_are_no_text(form: str, tmp_path: Path) -> None:
    public(tmp_path, "r1", ["SmokeSTS"])
    try:
        (tmp_path / "org__public").rename(tmp_path / "org__x\udcff")  # the byte 0xff
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes text only")
    shown = call("smoke", "--results", tmp_path, "--format", form)
    assert shown.exit_code == 0, shown.exception
    assert "dcff" in shown.stdout
    file = tmp_path / "out"
    assert call("smoke", "--results", tmp_path, "--format", form, "-o", file).exit_code == 0
    assert file.read_text(encoding="utf-8") == shown.stdout


def test_a_folder_too_high_is_told_from_an_empty_one(tmp_path: Path) -> None:
    public(tmp_path / "there", "r1", ["SmokeSTS"])
    told = call("smoke", "--results", tmp_path)
    assert f"lie deeper: --results {tmp_path / 'there'}" in told.stderr
    assert isinstance(told.exception, HarnessError)
    public(tmp_path, "r1", ["SmokePairs"])
    assert "deeper" not in call("smoke", "--results", tmp_path).stderr
