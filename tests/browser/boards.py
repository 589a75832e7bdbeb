"""Leaderboards for the tests of the page: a large one, and one whose names are hostile."""

from __future__ import annotations

import random
from typing import Any

from harness.report.board.build import leaderboard
from harness.report.board.leaderboard import Leaderboard
from harness.report.board.rows import SuiteTable
from harness.types import Result
from tests.report.make import result, suite, task

TYPES = ("Retrieval", "Reranking", "STS", "Classification", "Clustering", "PairClassification")
LANGUAGES = (["eng-Latn"], ["eng-Latn", "zho-Hans"], ["jpn-Jpan", "eng-Latn"], None)
LICENCES = ("apache-2.0", "mit", None, "cc-by-nc-4.0")
HOSTILE = (
    "org/<img src=x onerror=\"window.hurt='img'\">",
    "org/</script><script>window.hurt='script'</script>",
    "org/\"quoted\" 'names' & `ticks` \\ ${window.hurt='js'}",
    "org/<!--<script>",
    "org/😀 emoji",
    "org/\u202egnorw\u202c rtl שלום",
    "javascript:window.hurt='link'//]]>",
    "org/" + "a-very-long-name-" * 12,
)


def results_of(table: SuiteTable, models: int, seed: int = 0, partial: int = 10) -> list[Result]:
    """Scores of models in a suite, every `partial`th without its last task; with four decimals, so ties."""
    draw = random.Random(seed)
    found = []
    for m in range(models):
        name, strength = f"org-{m % 17}/embedding-model-{m:03}-base-v{m % 3}", draw.gauss(0.55, 0.12)
        for t, each in enumerate(table.tasks):
            score = min(max(strength + draw.gauss(0, 0.06), 0.01), 0.99)
            if (m % partial == partial - 1) and t == len(table.tasks) - 1:
                continue
            found.append(result(name, each.name, round(score, 4)))
    return found


def metas(results: list[Result], seed: int = 0) -> dict[str, dict[str, Any]]:
    """What is known of the models, of some nothing."""
    draw = random.Random(seed)
    return {
        model: {
            "n_parameters": int(10 ** draw.uniform(7, 10.2)),
            "embed_dim": draw.choice([384, 768, 1024, 4096]),
            "max_tokens": draw.choice([512, 8192, 32768]),
            "license": draw.choice(LICENCES),
            "languages": draw.choice(LANGUAGES),
            "model_type": [draw.choice(["dense", "dense", "cross-encoder", "sparse"])],
        }
        for model in dict.fromkeys(each.model for each in results)
        if draw.random() < 0.9
    }


def table_of(tasks: int, types: tuple[str, ...] = TYPES) -> SuiteTable:
    """A suite with tasks of each type in turn."""
    return suite(
        *(task(f"{types[i % len(types)]}Dataset{i:02}", types[i % len(types)]) for i in range(tasks)),
        columns=types,
        title=f"Suite of {tasks}",
    )


def board_of(models: int, tasks: int, **changes: Any) -> Leaderboard:
    """A leaderboard of made-up scores."""
    table = table_of(tasks)
    found = results_of(table, models, **changes)
    return leaderboard(found, table, models=metas(found))


def hostile_board() -> Leaderboard:
    """Names that would break out of markup, in models, tasks, licences, languages, title and notes."""
    table = suite(
        task("</script><b>T</b>", "<i>Type</i>"),
        task("T\"2' onmouseover=window.hurt=1", "STS"),
        title="<script>window.hurt='title'</script>",
    )
    found = [result(name, each.name, 0.9 - i / 20) for i, name in enumerate(HOSTILE) for each in table.tasks]
    models = {
        name: {"license": name, "languages": [name], "n_parameters": 10**7 * (i + 1), "model_type": [name]}
        for i, name in enumerate(HOSTILE)
    }
    return leaderboard(found, table, models=models)
