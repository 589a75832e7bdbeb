"""What JMTEB's kinds share: the choice of a candidate on the dev split, and how the outcome says it.

Reference: JMTEB 1.3.3, whose evaluators all score every candidate on dev, take the best and score it once
on test. Candidates are sorted by falling dev score, stably: of equal ones the first named wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from harness.data.examples import DevTest, PairExamples
from harness.types import Scores, Texts

Name = TypeVar("Name", bound=str)

DEV = "dev_"  # in front of the names of a dev split's texts


def best(dev: Mapping[Name, Mapping[str, float]], metric: str) -> Name:
    """The candidate with the highest dev score; of equal ones, and where all are NaN, the first."""
    names = list(dev)
    chosen = names[0]
    for name in names[1:]:
        if dev[name][metric] > dev[chosen][metric]:
            chosen = name
    return chosen


def on_dev(texts: Mapping[str, Texts]) -> dict[str, Texts]:
    """The same texts under the names that a dev split's have."""
    return {DEV + name: part for name, part in texts.items()}


def of_dev(given: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under a dev split's names, under the plain ones."""
    return {name: given[DEV + name] for name in names}


def pair_parts(examples: DevTest) -> tuple[PairExamples, PairExamples]:
    """The pairs of the dev split and of the test split."""
    assert isinstance(examples.dev, PairExamples)
    assert isinstance(examples.test, PairExamples)
    return examples.dev, examples.test


def sides(examples: PairExamples) -> dict[str, Texts]:
    """Both sides of the pairs, bare."""
    return {"sentence1": Texts(examples.sentence1), "sentence2": Texts(examples.sentence2)}


def told(scores: Scores, chosen: str, dev: Mapping[Name, Mapping[str, float]], **more: Any) -> Scores:
    """The scores with what was chosen, and on which dev scores, in their details.

    A dev score that is not a number (upstream's mean over a query without relevant documents) is null.
    """
    told = {
        name: {metric: value if value == value else None for metric, value in own.items()}
        for name, own in dev.items()
    }
    return replace(scores, details={"chosen_on_dev": chosen, "dev_scores": told, **more})
