"""The page of a leaderboard as a reader has it: in a real browser, by mouse and by keyboard."""

from __future__ import annotations

import math
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.report.board.aggregate import aggregate
from harness.report.board.build import leaderboard
from harness.report.board.leaderboard import Leaderboard
from harness.report.board.rows import Table
from tests.browser.boards import TYPES, board_of, hostile_board, metas, results_of, table_of
from tests.browser.conftest import SCREENSHOTS, Visit
from tests.report.make import result, suite

MODELS, TASKS = 80, 12
TABLE = table_of(TASKS)
RESULTS = results_of(TABLE, MODELS)
METAS = metas(RESULTS)
VIEWS = ("", "view=plot", "view=types", "view=task")


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return leaderboard(RESULTS, TABLE, models=METAS)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, board: Leaderboard) -> Path:
    path = tmp_path_factory.mktemp("page") / "board.html"
    known = {TABLE.tasks[0].name: {0: (50.0, 60.0), 1: (45.0, 55.5)}}
    path.write_text(board.to_html(known), encoding="utf-8")
    return path


def everything(page: Any) -> None:
    if page.locator("#more").is_visible():
        page.locator("#more").click()


def shown(page: Any) -> list[str]:
    everything(page)
    return [str(name) for name in page.locator("#table tbody th bdi").all_inner_texts()]


def column(page: Any, name: str) -> list[str]:
    everything(page)
    return list(
        page.evaluate(
            """name => { const t = document.getElementById("table");
            const i = [...t.tHead.rows[0].cells].findIndex(c => c.textContent === name);
            return [...t.tBodies[0].rows].map(r => r.cells[i].textContent); }""",
            name,
        )
    )


def header(page: Any, name: str) -> Any:
    return page.get_by_role("columnheader", name=name, exact=True).get_by_role("button")


def by_score(board: Leaderboard, name: str, down: bool) -> list[str]:
    frame = board.frame.assign(place=range(len(board.frame)))
    frame = frame.sort_values([name, "place"], ascending=[not down, True], na_position="last", kind="stable")
    return list(frame["Model"])


def test_the_page_shows_the_frame(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file)
    assert shown(page) == list(board.frame["Model"])
    for name in board.scores:
        expected = ["—" if math.isnan(value) else f"{value:.2f}" for value in board.frame[name]]
        assert column(page, name) == expected, name


def test_a_header_sorts_best_first_and_then_the_other_way(
    visit: Visit, page_file: Path, board: Leaderboard
) -> None:
    page = visit(page_file)
    name = TABLE.tasks[-1].name  # not all models have it
    for down, said in ((True, "descending"), (False, "ascending")):
        header(page, name).click()
        head = page.get_by_role("columnheader", name=name, exact=True)
        assert head.get_attribute("aria-sort") == said
        assert page.locator("th[aria-sort]").count() == 1
        assert shown(page) == by_score(board, name, down)
        assert column(page, name)[-1] == "—"
        assert f"by {name}, {said}" in page.locator("#status").inner_text()
    header(page, "Model").click()
    assert shown(page) == sorted(board.frame["Model"])
    header(page, "Parameters").click()
    sizes = [METAS.get(name, {}).get("n_parameters") for name in shown(page)]
    known = [size for size in sizes if isinstance(size, int)]
    assert known == sorted(known)
    assert len(known) < len(sizes)


def test_models_are_filtered(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file)

    def meant(test: Any) -> list[str]:
        return [name for name in board.frame["Model"] if test(METAS.get(name, {}), name)]

    page.get_by_label("Name").fill("ORG-3 base")
    assert shown(page) == meant(lambda meta, name: name.startswith("org-3/"))
    assert page.locator("#status").inner_text().startswith(f"{len(shown(page))} of {MODELS} models")
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Millions of parameters, from").fill("100")
    page.get_by_label("Millions of parameters, to").fill("1000.5")
    expected = meant(lambda meta, name: 100e6 <= meta.get("n_parameters", 0) <= 1000.5e6)
    assert shown(page) == expected
    page.get_by_label("Licence").select_option("mit")
    expected = [name for name in expected if METAS[name]["license"] == "mit"]
    assert 0 < len(expected) < MODELS
    assert shown(page) == expected
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Language").select_option("zh")
    assert shown(page) == meant(lambda meta, name: "zho-Hans" in (meta.get("languages") or ()))
    page.get_by_label("Kind").select_option("cross-encoder")
    expected = meant(
        lambda meta, name: (
            "zho-Hans" in (meta.get("languages") or ()) and meta["model_type"] == ["cross-encoder"]
        )
    )
    assert expected
    assert shown(page) == expected


def test_chosen_tasks_give_the_means_types_and_ranks_of_python(visit: Visit, page_file: Path) -> None:
    page = visit(page_file)
    draw = random.Random(1)
    page.locator("#choice summary").click()
    page.locator("#none").click()
    assert set(column(page, "Mean (Task)")) == {"—"}
    chosen = sorted(draw.sample(TABLE.tasks[:-1], 7), key=TABLE.tasks.index)
    for each in chosen:
        page.locator("#tasks").get_by_label(each.name, exact=True).check()
    rows = {row.model: row for row in aggregate(RESULTS, suite(*chosen, columns=TYPES)).rows}
    assert all(row.complete for row in rows.values())  # who lacks another task has a mean over these
    names = shown(page)
    assert names == list(rows)
    assert column(page, "Rank") == [str(rows[name].rank) for name in names]
    assert column(page, "Mean (Task)") == [f"{rows[name].mean_tasks:.2f}" for name in names]
    assert column(page, "Mean (TaskType)") == [f"{rows[name].mean_types:.2f}" for name in names]
    for kind in {each.type for each in chosen}:
        assert column(page, kind) == [f"{(rows[name].types or {})[kind]:.2f}" for name in names]
    visible = page.locator("#table thead th:visible").all_inner_texts()
    left_out = {each.name for each in TABLE.tasks} - {each.name for each in chosen}
    assert not left_out & {text.replace("\u200b", "") for text in visible}
    assert f"over 7 of {TASKS} tasks" in page.locator("#status").inner_text()
    page.locator("#all").click()
    assert column(page, "Mean (Task)").count("—") == MODELS // 10


def test_bands_are_of_the_ranks_over_all_tasks(visit: Visit, tmp_path: Path) -> None:
    def banded(table: Table) -> tuple[list[str | None], list[str]]:
        return [f"{row.rank}-{row.rank + 1}" if row.rank else None for row in table.rows], []

    path = tmp_path / "bands.html"
    path.write_text(leaderboard(RESULTS, TABLE, banded=banded).to_html(), encoding="utf-8")
    page = visit(path)
    header(page, "Band").click()
    shown_bands = [int(band.partition("-")[0]) for band in column(page, "Band") if band != "—"]
    assert shown_bands == sorted(shown_bands)
    assert len(shown_bands) > 10
    assert page.get_by_label("Band").count() == 0  # no filter
    page.locator("#choice summary").click()
    page.locator("#tasks").get_by_label(TABLE.tasks[2].name, exact=True).uncheck()
    assert page.get_by_role("columnheader", name="Band", exact=True).count() == 0
    page.locator("#all").click()
    assert page.get_by_role("columnheader", name="Band", exact=True).count() == 1


def test_best_and_second_follow_the_filter(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file, "q=org-3")
    best = page.locator("#table td.best:nth-child(3)")  # Model, Rank, Mean (Task)
    few = board.frame[board.frame["Model"].str.startswith("org-3/")]["Mean (Task)"]
    assert best.all_inner_texts() == [f"{few.max():.2f}"]
    page.get_by_label("Name").fill("")
    assert best.all_inner_texts() == [f"{board.frame['Mean (Task)'].max():.2f}"]


def test_a_link_restores_what_was_looked_at(visit: Visit, page_file: Path) -> None:
    page = visit(page_file)
    page.get_by_label("Name").fill("model")
    page.get_by_label("Licence").select_option("mit")
    page.locator("#choice summary").click()
    page.locator("#tasks").get_by_label(TABLE.tasks[2].name, exact=True).uncheck()
    header(page, "Mean (TaskType)").click()
    for name in (picked := shown(page)[2:4]):
        page.get_by_label(f"Compare {name}", exact=True).check()
    before, means = shown(page), column(page, "Mean (Task)")
    again = visit(page_file, page.url.partition("#")[2])
    assert shown(again) == before
    assert column(again, "Mean (Task)") == means
    assert again.get_by_label("Licence").input_value() == "mit"
    head = again.get_by_role("columnheader", name="Mean (TaskType)", exact=True)
    assert head.get_attribute("aria-sort") == "descending"
    again.get_by_role("link", name="Types").click()
    assert again.locator("#picked bdi").all_inner_texts() == picked
    assert again.locator("#bars tbody th").all_inner_texts() == picked
    again.go_back()
    assert again.locator("#table").is_visible()
    assert shown(again) == before


def test_a_link_with_unknown_names_is_harmless(visit: Visit, page_file: Path) -> None:
    page = visit(page_file, "view=x&sort=y&dir=down&only=z&model=q&task=r&x=s&has=Licence:none%&min=a&=&%")
    assert page.locator("#table").is_visible()
    assert page.locator("#status").inner_text().startswith(f"0 of {MODELS} models")
    page.get_by_role("button", name="Clear filters").click()
    page.locator("#choice summary").click()
    page.locator("#all").click()
    assert len(shown(page)) == MODELS


def test_the_front_is_that_of_size_and_score(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file, "view=plot")
    known = board.frame.dropna(subset=["Parameters", "Mean (Task)"])
    front = [
        row["Model"]
        for _, row in known.sort_values("Parameters").iterrows()
        if not (
            (known["Parameters"] <= row["Parameters"]) & (known["Mean (Task)"] > row["Mean (Task)"])
        ).any()
    ]
    assert page.locator("#front tbody th").all_inner_texts() == front
    assert page.locator("#plot circle").count() == len(known)
    assert page.locator("#plot circle.on").count() == len(front)
    page.get_by_label("Across").select_option("Max tokens")
    best = known.sort_values("Mean (Task)").iloc[-1]["Model"]
    assert best in page.locator("#front tbody th").all_inner_texts()
    page.locator("#plot circle").first.focus()
    first = page.locator("#point").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#point").inner_text() != first


def test_a_board_without_sizes_says_so(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "bare.html"
    path.write_text(leaderboard(RESULTS[:TASKS], TABLE).to_html(), encoding="utf-8")
    page = visit(path, "view=plot")
    assert page.locator("#plot").inner_text() == "No size of any model is known."
    page.get_by_role("link", name="Types").click()
    assert page.locator("#bars rect").count() == len(TYPES)


def test_a_task_has_its_intervals(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file, "view=task")
    task = TABLE.tasks[0].name
    assert page.locator("#task option:checked").inner_text() == task
    rows = page.locator("#scores tbody tr")
    assert rows.count() == 60
    page.get_by_role("button", name=f"Show all {MODELS} models").click()
    assert rows.locator("th").all_inner_texts() == by_score(board, task, down=True)
    first = rows.filter(has_text=board.frame["Model"][0])
    assert "50.00 to 60.00" in first.inner_text()
    assert page.locator("#scores .whisker").count() == 2
    page.locator("#task").select_option(TABLE.tasks[1].name)
    assert "No intervals" in page.locator("#about").inner_text()
    assert page.locator("#scores .whisker").count() == 0


def test_a_task_on_a_phone_shows_scores_and_their_places(visit: Visit, tmp_path: Path) -> None:
    found = [
        *RESULTS[:TASKS],
        result("org/" + "a-long-name-" * 8, TABLE.tasks[0].name, 0.0),
        result("org/other", TABLE.tasks[0].name, 0.999),
    ]
    path = tmp_path / "few.html"
    path.write_text(leaderboard(found, TABLE).to_html(), encoding="utf-8")
    page = visit(path, "view=task", width=375)
    table = page.get_by_role("region", name=f"Scores on {TABLE.tasks[0].name}").get_by_role("table")
    last = table.get_by_role("columnheader").last
    assert last.inner_text() == "0.00 to 100.00"  # no score is beyond
    box = last.bounding_box()
    assert box["x"] + box["width"] <= 375
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_keyboard_only(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file)
    focused = "document.activeElement.textContent"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "box"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Model"
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Mean (Task)"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    head = page.get_by_role("columnheader", name="Mean (Task)", exact=True)
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.evaluate(focused) == "Mean (Task)"
    page.keyboard.press("End")
    assert page.evaluate(focused) == TABLE.tasks[-1].name
    page.keyboard.press("Tab")  # one stop for all the boxes of the models
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    second = page.locator("#table tbody tr").nth(1)
    assert second.get_by_role("checkbox").is_checked()
    name = second.locator("bdi").inner_text()
    assert page.evaluate("document.activeElement.ariaLabel") == f"Compare {name}"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "more"
    page.keyboard.press("Enter")
    assert len(shown(page)) == MODELS
    page.get_by_role("link", name="Types").focus()
    page.keyboard.press("Enter")
    assert page.locator("#picked").inner_text().strip().startswith("■")
    assert name in page.locator("#picked").inner_text()
    assert page.get_by_role("link", name="Types").get_attribute("aria-current") == "page"


def test_a_screen_reader_finds_names_and_roles(visit: Visit, page_file: Path) -> None:
    page = visit(page_file)
    assert page.get_by_role("table", name="Suite of 12: scores of each model").count() == 1
    assert page.get_by_role("rowheader").count() == 60  # the first sixty rows
    assert page.get_by_role("status").count() == 1
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a")].filter(e =>
        !(e.labels?.length || e.ariaLabel || e.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.querySelectorAll('[tabindex=\"0\"]').length") <= 4


@pytest.mark.parametrize("fragment", VIEWS)
def test_hostile_names_are_inert(visit: Visit, tmp_path: Path, fragment: str) -> None:
    board = hostile_board()
    path = tmp_path / "hostile.html"
    path.write_text(board.to_html(), encoding="utf-8")
    page = visit(path, fragment)
    page.get_by_label("Licence").select_option(board.frame["Model"][1])
    page.get_by_role("button", name="Clear filters").click()
    assert page.evaluate("window.hurt") is None
    assert page.locator("img, iframe, #table script, h1 *, #table b:not(.best)").count() == 0
    assert page.locator("h1").inner_text() == board.suite.title
    if not fragment:
        assert shown(page) == list(board.frame["Model"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def test_the_policy_refuses_the_network_and_other_scripts(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    refused = page.evaluate(
        """async () => { const seen = [];
        addEventListener("securitypolicyviolation", e => { seen.push(e.effectiveDirective); });
        const script = document.createElement("script"); script.textContent = "window.hurt = 1";
        document.body.append(script);
        const image = new Image(); image.src = "file:///nowhere.png";
        await fetch("file:///nowhere").catch(() => 0);
        await new Promise(done => setTimeout(done, 100));
        return [seen.sort(), window.hurt ?? null]; }"""
    )
    page.close()
    assert refused == [["connect-src", "img-src", "script-src-elem"], None]


def test_without_scripts_all_of_the_table_is_there(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    page = visit(page_file, java_script_enabled=False)
    assert page.locator("#table tbody tr:visible").count() == MODELS
    assert page.locator("#table tbody th bdi").all_inner_texts() == list(board.frame["Model"])
    assert page.get_by_text("need JavaScript").is_visible()
    assert page.locator("button:visible, input:visible, select:visible").count() == 0


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_scrolls_the_table_and_not_the_page(
    visit: Visit, page_file: Path, width: int, scheme: str
) -> None:
    for view in VIEWS:
        page = visit(page_file, view, width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{view.removeprefix('view=') or 'table'}-{width}-{scheme}.png")
    page = visit(page_file, width=width, color_scheme=scheme)
    page.locator("#box").evaluate("box => box.scrollTo(5000, 0)")
    name = page.locator("#table tbody th").first
    assert name.bounding_box()["x"] < 40  # the column of names stays
    assert page.evaluate("scrollX") == 0


def test_paper_has_every_model_and_no_more_than_it_can_hold(visit: Visit, page_file: Path) -> None:
    page = visit(page_file, width=1045)  # A4, landscape, at 96 dots an inch
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#table tbody tr").count() == MODELS
    assert page.locator("#table").bounding_box()["width"] <= 1045
    heads = {
        head.inner_text(): head.bounding_box()["width"] for head in page.locator("#table thead th").all()
    }
    assert all(heads[name] > 30 for name in ("Model", *TYPES[:3]))
    assert heads[TABLE.tasks[0].name] == 0
    lines = """names => [...document.querySelectorAll("#table thead th")]
        .filter(e => names.includes(e.textContent)).map(e => { const all = document.createRange();
        all.selectNodeContents(e.querySelector("button")); const { height } = all.getBoundingClientRect();
        return Math.round(height / parseFloat(getComputedStyle(e).lineHeight)); })"""
    assert page.evaluate(lines, ["Parameters", "Classification"]) == [1, 1]
    assert page.locator("input:visible, select:visible").count() == 0


def test_light_and_dark(visit: Visit, page_file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(page_file, color_scheme="dark")
    dark = page.evaluate(ground)
    page.get_by_label("Colours").select_option("light")
    light = page.evaluate(ground)
    assert (dark, light) == ("rgb(18, 22, 27)", "rgb(255, 255, 255)")
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_label("Colours").select_option("as the system")
    assert page.evaluate(ground) == dark


def test_500_models_and_60_tasks_open_in_under_two_seconds(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    path.write_text(board_of(500, 60).to_html(), encoding="utf-8")
    busy, seconds = [], []
    for _ in range(5):  # the best of a few: others may be using this machine
        page = visit(tmp_path / "large.html")
        painted = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
        page.evaluate(painted)
        seconds.append(page.evaluate("performance.now()") / 1000)
        log = page.context.new_cdp_session(page)
        log.send("Performance.enable")
        found = {each["name"]: each["value"] for each in log.send("Performance.getMetrics")["metrics"]}
        busy.append(found["ProcessTime"])  # of all threads that have drawn the page
        assert page.locator("#status").inner_text().startswith("500 of 500")
        page.context.close()
        if seconds[-1] < 2:
            break
    assert 0 < min(busy) < 2, busy
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # else the clock measures the others
        assert min(seconds) < 2, seconds


def test_a_link_to_a_filter_that_nothing_passes_shows_nothing(visit: Visit, page_file: Path) -> None:
    page = visit(page_file, "q=no-such-model")
    assert page.locator("#table tbody tr").count() == 0
    assert page.get_by_text("Nothing passes these filters.").is_visible()
    page.get_by_role("button", name="Clear filters").click()
    assert len(shown(page)) == MODELS
    assert page.get_by_text("Nothing passes these filters.").is_hidden()


def test_best_and_second_are_heard(visit: Visit, page_file: Path, board: Leaderboard) -> None:
    for scripts in (True, False):
        page = visit(page_file, java_script_enabled=scripts)
        means = sorted({f"{mean:.2f}" for mean in board.frame["Mean (Task)"].dropna()}, reverse=True)
        heard = page.locator("#table tbody").aria_snapshot()
        assert f'cell "{means[0]}\u200b best"' in heard or f'cell "{means[0]} best"' in heard, heard[:900]
        assert page.get_by_role("cell", name=f"{means[1]} second").count() >= 1


def test_rows_are_counted_as_rows_where_a_model_has_two(visit: Visit, tmp_path: Path) -> None:
    found = [*RESULTS[:TASKS], *(replace(each, revision="other") for each in RESULTS[:TASKS])]
    path = tmp_path / "twice.html"
    path.write_text(leaderboard(found, TABLE).to_html(), encoding="utf-8")
    page = visit(path)
    assert page.locator("header p").inner_text().startswith("2 rows of 1 model,")
    assert page.locator("#status").inner_text().startswith("2 of 2 rows,")


def test_headers_and_marks_say_what_they_mean(visit: Visit, tmp_path: Path) -> None:
    theirs = [replace(each, provenance={"source": "mteb"}) for each in RESULTS[:TASKS]]
    path = tmp_path / "marked.html"
    path.write_text(leaderboard(theirs, TABLE).to_html(), encoding="utf-8")
    page = visit(path)
    heads = {head.inner_text(): head.get_attribute("title") for head in page.locator("#table thead th").all()}
    first = TABLE.tasks[0]
    assert heads["Rank"] == "By Borda count over the tasks, 1 is best; ties share"
    assert heads[first.name] == f"{first.type}, {first.main}"
    assert (page.locator("#table abbr").get_attribute("title") or "").startswith("From files that mteb wrote")


def test_forced_colours_leave_the_view_and_the_bars_apart(visit: Visit, page_file: Path) -> None:
    names = [f"model={name}" for name in dict.fromkeys(each.model for each in RESULTS[: 2 * TASKS])]
    page = visit(page_file, "&".join(["view=types", *names]), forced_colors="active")
    below = "e => getComputedStyle(e).borderBottomColor"
    edges = [link.evaluate(below) for link in page.locator("#views a").all()]
    assert edges.count(edges[2]) == 1  # that of the view
    squares = page.locator("#picked [aria-hidden]")
    assert len({square.evaluate("e => getComputedStyle(e).color") for square in squares.all()}) == 2


def test_a_browser_that_refuses_a_change_of_the_address_still_filters(visit: Visit, page_file: Path) -> None:
    page = visit(page_file)
    page.evaluate("void (history.replaceState = () => { throw new DOMException('', 'SecurityError'); })")
    page.get_by_label("Name").fill("org-3/")
    assert shown(page)
    assert all(name.startswith("org-3/") for name in shown(page))


def test_a_language_is_one_however_it_is_written(visit: Visit, tmp_path: Path) -> None:
    written = ["eng-Latn", "eng_Latn", "en", "en-US", "zho-Hans", "cmn-Hans", "zh-TW", "<b>"]
    found = [result(f"org/{code}", TABLE.tasks[0].name, 0.5) for code in written]
    path = tmp_path / "languages.html"
    known = {each.model: {"languages": [code]} for each, code in zip(found, written, strict=True)}
    path.write_text(leaderboard(found, TABLE, models=known).to_html(), encoding="utf-8")
    page = visit(path, "language=eng_Latn")
    choice = page.get_by_label("Language")
    names = ["any", "<b>", "Chinese (zh)", "English (en)", "Traditional Chinese (zh-Hant)"]
    assert choice.locator("option").all_inner_texts() == names
    for language, codes in (("en", written[:4]), ("zh", written[4:6]), ("zh-Hant", ["zh-TW"])):
        if language != "en":  # the link has chosen that
            choice.select_option(language)
        assert choice.input_value() == language
        assert sorted(shown(page)) == sorted(f"org/{code}" for code in codes)
