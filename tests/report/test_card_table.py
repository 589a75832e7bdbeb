"""The table between its markers, and mteb's JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import ConfigError, DataError
from harness.report.card.export import json_files, mteb_json
from harness.report.card.groups import groups_of
from harness.report.card.source import Known
from harness.report.card.table import results_table, table_file
from tests.report.make import result

A = "org/a"
KNOWN = Known({"STSB": "mteb/STSB"}, {"STSB": "STS"}, ())


def stsb(**changes: object) -> object:
    return result(A, "STSB", 0.51234, kind="sts", main="cosine_spearman", **changes)


def text() -> str:
    mine = result(A, "my|task", 0.25, kind="reranking", protocol="custom")
    return results_table([*groups_of([stsb()]), *groups_of([mine], "generic")], "org/a@r1")  # type: ignore[list-item]


def test_the_table_by_hand() -> None:
    assert text() == (
        "org/a@r1 (protocol custom, 0 to 1; protocol mteb, x100)\n"
        "\n"
        "| Task | Split | Metric | Score |\n"
        "| :-- | :-- | :-- | --: |\n"
        "| STSB | test/default | cosine_spearman | 51.23 |\n"
        "| my\\|task | test/default | ndcg@10 | 0.2500 |\n"
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_it_is_replaced_in_place(newline: str) -> None:
    old = "\ufeff# A  \n<!-- harness:begin -->\nold\n<!-- harness:end -->  \nb".replace("\n", newline)
    file = table_file("README.md", old.encode(), text())
    assert file.after.decode() == old.replace(f"old{newline}", text().replace("\n", newline))
    again = table_file("README.md", file.after, text())
    assert not again.stale
    assert [file.changes[0].what, again.changes[0].what] == ["updated", "unchanged"]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("# A\n", "no place for the table"),
        ("text <!-- harness:begin --> x\n", "no place"),
        ("<!-- harness:begin -->\n", "markers in lines 1"),
        ("<!-- harness:end -->\n\n<!-- harness:begin -->\n", "markers in lines 1, 3"),
        ("<!-- harness:begin -->\n<!-- harness:end -->\n" * 2, "markers in lines 1, 2, 3, 4"),
        ("```\n<!-- harness:begin -->\n<!-- harness:end -->\n```\n", "no place"),
        ("<!-- harness:begin -->\n~~~\n<!-- harness:end -->\n~~~\n", r"markers in lines 1\)"),
    ],
)
def test_no_pair_of_markers_is_refused(old: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_file("README.md", old.encode(), text())


def test_mteb_reads_its_json_and_it_says_what_it_is(tmp_path: Path) -> None:
    from mteb.results import TaskResult

    both = [stsb(), stsb(subset="zh")]
    (file,) = json_files(mteb_json(both, KNOWN), lambda _: None)  # type: ignore[arg-type]
    assert file.path == "STSB.json"
    (tmp_path / "STSB.json").write_bytes(file.after)
    read = TaskResult.from_disk(tmp_path / "STSB.json")
    assert [(s["hf_subset"], s["main_score"]) for s in read.scores["test"]] == [
        ("default", 0.51234),
        ("zh", 0.51234),
    ]
    document = json.loads(file.after)
    assert "harness" not in document
    assert "Not a submission" in document["note"]
    (again,) = json_files(mteb_json(both, KNOWN), lambda _: file.after)  # type: ignore[arg-type]
    assert not again.stale
    for other in (stsb(protocol="jmteb"), result(A, "Mine", 0.5)):
        with pytest.raises(ConfigError, match="cannot be written as mteb's JSON"):
            mteb_json([other], KNOWN)  # type: ignore[list-item]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "code",
    [
        "```html\n{}```\n",
        "~~~~\n```\n~~~\n{}~~~~\n",
        "- ````md\n  ```\n{}  ````\n",
        "``` not a block ``` \n\n```\n{}```  \n",
        "---\ntext: |\n  ```\n---\n",
        "```\n{}`````\n",
        "```\n```\n",
        "\ufeff",
    ],
)
def test_markers_in_code_are_an_example(code: str, newline: str) -> None:
    pair = "<!-- harness:begin -->\n<!-- harness:end -->\n"
    before = code.format(pair)
    old = f"{before}{pair}```\n{pair}".replace("\n", newline)  # the last block ends with the file
    new = table_file("README.md", old.encode(), "T\n").after.decode()
    assert new == f"{before}{pair.replace('<!-- harness:end', 'T@<!-- harness:end')}```\n{pair}".replace(
        "@", "\n"
    ).replace("\n", newline)
