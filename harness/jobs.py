"""What a run has to do: one job a (task, split, subset), with its examples and rendered texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.data.build import RANKING
from harness.data.examples import DevTest, Examples, RankingExamples, fingerprint
from harness.data.load import load_examples
from harness.data.packed import positions
from harness.errors import HarnessError, ModelError, together
from harness.first_stage import FirstStage
from harness.method import refuse_metric
from harness.models.base import ModelCard
from harness.models.prompts import prompt_for, render, route_for
from harness.streams import FRESH, Stream, following, walked
from harness.suite import Suite
from harness.task import Task
from harness.types import Pairs, Role, Texts


@dataclass(frozen=True)
class Job:
    """One (task, split, subset) of a run.

    Attributes:
        settings: the scorer's, with the model's `similarity` and the task's `main` metric.
        texts: rendered texts by the names of the kind's `needs` (bi-encoders).
        pairs: text pairs (cross-encoders).
        shown: role to the first rendered text, for the record and for the user's eyes.
        first: the first stage whose candidates are reranked (see `FirstStage.identity`), or None. The pairs
            are missing until it has searched.
        stream: where the task's random stream stands before this entry draws.
        candidates_sha256: of the candidate lists; None where there are none, or none that were searched.
    """

    task: Task
    split: str
    subset: str
    examples: Examples
    data_fingerprint: str
    settings: Mapping[str, Any]
    texts: Mapping[str, Texts]
    pairs: Pairs | None
    shown: Mapping[str, str]
    first: Mapping[str, Any] | None = None
    candidates_sha256: str | None = None
    stream: Stream = FRESH

    @property
    def routes(self) -> dict[str, str] | None:
        """Name of a text to the adapter it goes through; None where no text has any."""
        found = {name: texts.route for name, texts in self.texts.items()}
        return found if any(found.values()) else None


@dataclass(frozen=True)
class Event:
    """Something a run has to say.

    Attributes:
        what: "skip", "absent", "stale", "note", "prompt", "reuse", "start", "encode", "done", "failed",
            "warning".
        text: one line for a person.
        done, total: texts (or pairs) encoded and to encode in the whole run, for "encode".
        tokens: tokens of the texts encoded so far, without padding, for "encode"; 0 where unknown.
        fraction: share of all characters to encode that is done, for "encode": what the remaining time
            follows, since long texts come first.
        parts: of each job at work its name, texts done and texts needed, for "encode".
    """

    what: str
    task: str = ""
    text: str = ""
    done: int = 0
    total: int = 0
    tokens: int = 0
    fraction: float = 0.0
    parts: tuple[tuple[str, int, int], ...] = ()


Listener = Callable[[Event], None]


def nobody(event: Event) -> None:
    """A listener that does not listen."""


def select(suite: Suite, card: ModelCard, listen: Listener, first: FirstStage | None = None) -> list[Task]:
    """The suite's tasks that a model can be scored on, members of an aggregate in front of it.

    Of a suite, the others are skipped and said; tasks that were named one by one must all apply.

    Raises:
        ModelError: a named task, or every task of the suite, does not apply.
    """
    reasons = {task.name: applicable(task, card, first is not None) for task in suite.tasks}
    able = [task for task in suite.tasks if not reasons[task.name]]
    refused = [reason for reason in reasons.values() if reason]
    if refused and (suite.named or not able):
        raise ModelError("\n".join(refused[:3]))
    for name, reason in (*suite.outside.items(), *reasons.items()):
        if reason:
            listen(Event("skip", name, reason))
    tasks = flatten(able)
    if first is not None and (without := [task.name for task in tasks if not task.searched]):
        more = f" and {len(without) - 4} more" if len(without) > 4 else ""
        words = "search no corpus: the first stage has no part in them, nor in their results' address"
        listen(Event("note", "", f"{', '.join(without[:4])}{more} {words}"))
    return tasks


def flatten(tasks: Iterable[Task]) -> list[Task]:
    """Every task once, the members of an aggregate in front of it."""
    ordered: dict[str, Task] = {}
    for task in tasks:
        for each in (*task.members, task):
            ordered.setdefault(each.name, each)
    return list(ordered.values())


def applicable(task: Task, card: ModelCard, staged: bool = False) -> str:
    """Why a model of this kind cannot be scored on the task; empty where it can.

    Args:
        staged: whether a first stage searches for it.
    """
    crossed = card.kind == "cross-encoder" and "cross-encoder" in task.scorer.models
    if task.kind == "retrieval" and crossed and task.searched and not staged:
        return (
            f"{task.name} ({task.kind}) has no candidate lists: a cross-encoder reranks what a first stage "
            f"found; give one with --first-stage bm25 (or a bi-encoder), or name a reranking task"
        )
    if card.kind in task.scorer.models:
        refused = [why for member in task.members if (why := applicable(member, card, staged))]
        return refused[0] if refused else ""
    able = " or ".join(task.scorer.models)
    return f"{task.name} ({task.kind}) is scored with a {able} model; {card.name} is of kind {card.kind}"


def prepare(
    task: Task,
    card: ModelCard,
    loaded: dict[str, Any],
    *,
    offline: bool,
    first: FirstStage | None = None,
) -> list[Job]:
    """The jobs of one task, its data loaded and its texts rendered.

    Raises:
        HarnessError: a main metric that is never given; else all that is wrong with the data, at once.
    """
    jobs: list[Job] = []
    problems: list[HarnessError] = []
    stream = FRESH
    refuse_metric(task.name, task.scorer, task.shown, task.settings)
    for (split, subset), scored in walked(task):
        try:
            examples = load_examples(task, split, subset, loaded, offline=offline)
            if scored:
                jobs.append(_job(task, split, subset, examples, card, first, stream))
            drawing = {**task.settings, "stream": stream.state}
            stream = following(task, (split, subset), examples, drawing)
        except HarnessError as error:
            error.args = (str(error) if task.name in str(error) else f"{task.name}: {error}",)
            problems.append(error)
    loaded.pop(task.name, None)
    if problems:
        raise together(problems)
    return jobs


def remarks(job: Job) -> list[str]:
    """What a user should know of a job's data before believing its score."""
    examples = job.examples.test if isinstance(job.examples, DevTest) else job.examples
    own = getattr(job.task.scorer.load(), "remarks", None)  # the scorer's, where it has its own
    if own is not None:
        place = f"{job.task.name} ({job.split}, {job.subset})"
        return [f"{place}: {line}" for line in own(examples, job.settings)]
    if not isinstance(examples, RankingExamples):
        return []
    corpus = positions(examples.doc_ids, {doc for own in examples.qrels.values() for doc in own})
    absent = sum(doc not in corpus for own in examples.qrels.values() for doc in own)
    hopeless = sum(all(grade <= 0 for grade in own.values()) for own in examples.qrels.values())
    listed = examples.candidates
    unlisted = 0 if listed is None else sum(not listed.get(name) for name in examples.query_ids)
    counted = (
        (absent, "judged documents are not in the corpus; they count as not found"),
        (hopeless, "queries have no relevant document; they score 0 and count"),
        (unlisted, "queries have no candidates; they score 0 and count"),
    )
    return [f"{job.task.name} ({job.split}, {job.subset}): {n} {words}" for n, words in counted if n]


def first_job(job: Job, card: ModelCard) -> Job:
    """What the first stage, a searcher or bi-encoder, has to search for the job of a cross-encoder."""
    settings = {**job.settings, "similarity": card.similarity}
    texts = _texts(job.task, job.examples, settings, card) if card.kind == "bi-encoder" else {}
    return replace(job, settings=settings, texts=texts, first=None)


def with_candidates(job: Job, lists: Mapping[str, Sequence[str]], digest: str | None) -> Job:
    """The job with the pairs of a first stage's candidates.

    Args:
        lists: query id to document ids.
        digest: their SHA-256; None where they only stand in for some.
    """
    assert job.first is not None
    settings = {**job.settings, "first_stage": lists, "first_stage_depth": job.first["depth"]}
    pairs: Pairs = job.task.scorer.load().pairs(job.examples, settings)
    return replace(job, settings=settings, pairs=pairs, shown=_sides(pairs), candidates_sha256=digest)


def _job(
    task: Task,
    split: str,
    subset: str,
    examples: Examples,
    card: ModelCard,
    first: FirstStage | None,
    stream: Stream,
) -> Job:
    settings = {**task.settings, "similarity": card.similarity, "main": task.main}
    if stream.state is not None:
        settings["stream"] = stream.state
    texts: dict[str, Texts] = {}
    pairs = None
    staged = None
    shown: dict[str, str] = {}
    if card.kind == "bi-encoder":
        texts = _texts(task, examples, settings, card)
        shown = {name: part.items[0] for name, part in texts.items() if len(part)}
    elif first is not None and task.searched and isinstance(examples, RankingExamples):
        staged = first.identity(_of_stage(_prompt, task, first.card), _of_stage(_route, task, first.card))
        examples = replace(examples, candidates=None)  # one way for all entries of the task
    elif card.kind == "cross-encoder":
        pairs = task.scorer.load().pairs(examples, settings)
        shown = _sides(pairs)
    elif task.kind in RANKING and isinstance(examples, RankingExamples):
        shown = {"queries": examples.queries[0], "documents": examples.documents[0]}
    return Job(
        task,
        split,
        subset,
        examples,
        fingerprint(examples),
        settings,
        texts,
        pairs,
        shown,
        staged,
        stream=stream,
    )


def _texts(task: Task, examples: Examples, settings: Mapping[str, Any], card: ModelCard) -> dict[str, Texts]:
    needed = task.scorer.load().needs(examples, settings)
    return {
        name: render(
            replace(bare, route=_route(task, card, name, bare.role)), _prompt(task, card, name, bare.role)
        )
        for name, bare in needed.items()
    }


def _prompt(task: Task, card: ModelCard, name: str, role: Role) -> str:
    kind, own = _asked(task, card.prompts, name, role)
    return prompt_for(card.prompts, card.prompt_policy, kind, own)


def _route(task: Task, card: ModelCard, name: str, role: Role) -> str:
    return route_for(card.routes, *_asked(task, card.routes, name, role))


def _asked(task: Task, table: Mapping[str, str], name: str, role: Role) -> tuple[str, str]:
    """Kind and role to look up: a side with a role is of retrieval, unless its own kind has an entry."""
    side = name.removeprefix("dev_")  # a dev split's texts are those of the test split to a model
    kind = "retrieval" if side in task.roles and task.kind not in table else task.kind
    return kind, task.roles.get(side, role)


def _of_stage(
    look_up: Callable[[Task, ModelCard, str, Role], str], task: Task, card: ModelCard
) -> dict[str, str]:
    """The prompts or routes of a first stage; none for a searcher."""
    if card.kind != "bi-encoder":
        return {}
    return {
        "queries": look_up(task, card, "queries", "query"),
        "documents": look_up(task, card, "documents", "document"),
    }


def _sides(pairs: Pairs) -> dict[str, str]:
    return {"left": pairs.left[0], "right": pairs.right[0]} if len(pairs) else {}
