"""`harness leaderboard --format html` over the references that come with the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.cli.leaderboard import Format, leaderboard

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_the_references_has_their_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep" / "smoke.html"
    leaderboard("smoke", results=[ROOT / "results" / "reference"], format=Format.html, output=file)
    assert capsys.readouterr().out == ""
    text = file.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found.group(1))
    place = next(i for i, column in enumerate(data["columns"]) if column["name"] == "SmokeSTS")
    low, high = data["intervals"][str(place)]["0"]
    assert low < data["models"][0]["values"][place] < high
    assert high - low < 100
    scored = [model for model in data["models"] if model["values"][place] is not None]
    assert len(data["intervals"][str(place)]) == len(scored)
