"use strict";
/* Until the page is read, its rows are not laid out; without scripts it is a plain table of all. */
document.documentElement.classList.add("starting");
document.addEventListener("DOMContentLoaded", () => {
  try { enhance(); } finally { document.documentElement.classList.remove("starting"); }
});

function enhance() {
const data = JSON.parse(document.getElementById("data").textContent);
const { columns, models, intervals } = data;
const $ = (id) => document.getElementById(id);
const where = (test) => columns.flatMap((column, i) => (test(column) ? [i] : []));
const RANK = 0, NAME = -1;
const MEANS = where((c) => c.kind === "mean"), PRIMARY = MEANS[0];
const TYPES = where((c) => c.kind === "type"), TASKS = where((c) => c.kind === "task");
const COUNTED = TASKS.filter((i) => columns[i].counts);
const WORDS = where((c) => c.kind === "word"), NUMBERS = where((c) => c.kind === "number");
const SIZE = columns.findIndex((c) => c.kind === "number" && c.name === "Parameters");
const BANDS = where((c) => c.kind === "band"); // of the ranks over all tasks, of no others
const SCORES = where((c) => "lower" in c);
const LEADING = ["band", "coverage"]; // "2-4" and "30/31" are sorted by their first number
const MAX_PICKED = 6, PAGE = 60; // models compared, rows shown at once
const counted = (n) => `${n} ${data.counted}${n === 1 ? "" : "s"}`; // a model may have a row for each revision
const title = (model) => model.name + (model.marks ? " " + model.marks : "");
const names = models.map(title);
/* eng-Latn, eng_Latn, en-US and en are one language; a script is named where it is not the usual one. */
const tongue = (code) => {
  try {
    const { language, script } = new Intl.Locale(code.replaceAll("_", "-")).maximize();
    return script === new Intl.Locale(language).maximize().script ? language : `${language}-${script}`;
  } catch { return code; }
};
for (const model of models) model.languages = [...new Set(model.languages.map(tongue))];
const columnNamed = (name) => (name === "Model" ? NAME : columns.findIndex((c) => c.name === name));
const nameOf = (i) => (i === NAME ? "Model" : columns[i].name);

/* Two decimals as Python writes them: a tie goes to the even digit. */
const fixed = (x) => {
  const tie = (x * 8) % 2;
  return (tie === 1 || tie === -1 ? (2 * Math.round(x * 50)) / 100 : x).toFixed(2);
};
const short = (x) => {
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["k", 1e4]])
    if (x >= size) return +(x / (unit === "k" ? 1e3 : size)).toPrecision(3) + unit;
  return String(+x.toPrecision(4));
};
const shown = (i, value) => {
  if (value === null) return "—";
  if (i === SIZE) return value >= 1e9 ? (value / 1e9).toFixed(1) + "B" : (value / 1e6).toFixed(1) + "M";
  return "lower" in columns[i] ? fixed(value) : String(value);
};
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
const draw = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const collator = new Intl.Collator("en");
/* A name by itself, whatever its script; a long one may go on below after a sign. */
const isolated = (text) => make("bdi", {}, ...text.split(/(?<=[/_@+-])(?=\w)|(?<=\.)(?=[a-z_])/i).flatMap((part, k) => (k ? [make("wbr"), part] : [part])));

/* What is looked at: all of it stands in the address, so that a link restores it. */
const start = () => ({
  view: "table", q: "", min: "", max: "", language: "", words: {}, sort: RANK, down: false,
  out: new Set(), picked: [], task: COUNTED[0], x: SIZE >= 0 ? SIZE : NUMBERS[0], y: PRIMARY,
});
let state = start();

function toHash() {
  const first = start(), p = new URLSearchParams();
  for (const key of ["view", "q", "min", "max", "language"]) if (state[key] !== first[key]) p.set(key, state[key]);
  for (const [i, value] of Object.entries(state.words)) if (value) p.append("has", nameOf(i) + ":" + value);
  if (state.sort !== first.sort || state.down) p.set("sort", nameOf(state.sort));
  if (state.down) p.set("dir", "down");
  const fewer = state.out.size * 2 > COUNTED.length;
  if (state.out.size) for (const i of COUNTED) if (state.out.has(i) !== fewer) p.append(fewer ? "only" : "without", nameOf(i));
  if (state.out.size === COUNTED.length) p.append("only", "");
  for (const row of state.picked) p.append("model", names[row]);
  for (const key of ["task", "x", "y"]) if (state[key] !== first[key]) p.set(key, nameOf(state[key]));
  return String(p) ? "#" + p : "#";
}
function fromHash() {
  const p = new URLSearchParams(location.hash.slice(1)), next = start();
  for (const key of ["q", "min", "max", "language"]) next[key] = p.get(key) ?? "";
  next.language = tongue(next.language);
  for (const key of ["min", "max"]) if (!Number.isFinite(Number(next[key]))) next[key] = ""; // a link may say anything
  if (["plot", "types", "task"].includes(p.get("view"))) next.view = p.get("view");
  for (const pair of p.getAll("has")) {
    const i = WORDS.find((w) => pair.startsWith(nameOf(w) + ":"));
    if (i !== undefined) next.words[i] = pair.slice(nameOf(i).length + 1);
  }
  const sort = columnNamed(p.get("sort") ?? "Rank");
  if (sort >= 0 || p.get("sort") === "Model") [next.sort, next.down] = [sort, p.get("dir") === "down"];
  const only = p.getAll("only"), without = p.getAll("without");
  if (only.length) next.out = new Set(COUNTED.filter((i) => !only.includes(nameOf(i))));
  else if (without.length) next.out = new Set(COUNTED.filter((i) => without.includes(nameOf(i))));
  for (const name of p.getAll("model")) if (names.includes(name)) next.picked.push(names.indexOf(name));
  next.picked = [...new Set(next.picked)].slice(0, MAX_PICKED);
  for (const [key, allowed] of [["task", TASKS], ["x", NUMBERS], ["y", SCORES]]) {
    const i = columnNamed(p.get(key) ?? "");
    if (allowed.includes(i)) next[key] = i;
  }
  state = next;
}

/* Means, types and Borda ranks over the chosen tasks, as harness.report.board.aggregate has them. */
const mean = (values) => { // by Neumaier's sum, so that it rounds as Python's math.fsum does
  let sum = 0, lost = 0;
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return (sum + lost) / values.length;
};
let memo = { key: "", values: models.map((m) => m.values) };
function values() {
  const chosen = COUNTED.filter((i) => !state.out.has(i)), key = state.out.size ? chosen.join() || "none" : "";
  if (memo.key === key) return memo.values;
  if (!key) memo = { key, values: models.map((m) => m.values) };
  else memo = { key, values: computed(chosen) };
  return memo.values;
}
function computed(chosen) {
  const complete = models.map((m) => chosen.length > 0 && chosen.every((i) => m.values[i] !== null));
  const points = models.map(() => 0);
  for (const i of chosen) {
    const sign = columns[i].lower ? -1 : 1;
    const score = (row) => sign * models[row].values[i];
    const rows = models.flatMap((_, row) => (complete[row] ? [row] : [])).sort((a, b) => score(a) - score(b));
    for (let from = 0, to; from < rows.length; from = to) {
      for (to = from; to < rows.length && score(rows[to]) === score(rows[from]); to++);
      for (let k = from; k < to; k++) points[rows[k]] += (from + to - 1) / 2;
    }
  }
  const ranked = points.filter((_, row) => complete[row]).sort((a, b) => b - a);
  return models.map((model, row) => {
    const own = [...model.values];
    for (const i of [RANK, ...BANDS, ...MEANS, ...TYPES]) own[i] = null;
    if (!complete[row]) return own;
    own[RANK] = 1 + ranked.indexOf(points[row]);
    const types = [];
    for (const t of TYPES) {
      const members = chosen.filter((i) => columns[i].type === columns[t].name);
      if (members.length) types.push((own[t] = mean(members.map((i) => own[i]))));
    }
    for (const i of MEANS) own[i] = columns[i].name === "Mean (Task)" ? mean(chosen.map((c) => own[c])) : mean(types);
    return own;
  });
}
function matching() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const low = parseFloat(state.min) * 1e6, high = parseFloat(state.max) * 1e6;
  return models.map((model, row) => {
    const size = SIZE >= 0 ? model.values[SIZE] : null, name = names[row].toLowerCase();
    return words.every((word) => name.includes(word))
      && (Number.isNaN(low) || (size !== null && size >= low))
      && (Number.isNaN(high) || (size !== null && size <= high))
      && (!state.language || model.languages.includes(state.language))
      && WORDS.every((i) => !state.words[i] || model.values[i] === state.words[i]);
  });
}
/* Missing values come last whichever the direction; equal ones stay in the order of rank, mean and name. */
function ordered() {
  const all = values(), sign = state.down ? -1 : 1, i = state.sort;
  const value = (row, c) => (c === NAME ? names[row] : LEADING.includes(columns[c].kind) && all[row][c] ? parseFloat(all[row][c]) : all[row][c]);
  const by = (c, way) => (a, b) => {
    const x = value(a, c), y = value(b, c);
    if (x === null || y === null) return (x === null) - (y === null);
    return way * (typeof x === "string" ? collator.compare(x, y) : x - y);
  };
  const steps = [by(i, sign), by(RANK, 1), by(PRIMARY, columns[PRIMARY].lower ? 1 : -1), (a, b) => a - b];
  return models.map((_, row) => row).sort((a, b) => steps.reduce((found, step) => found || step(a, b), 0));
}

/* The table: rows and cells of the plain page are moved, hidden and rewritten; it holds those that are shown. */
const table = $("table"), body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
const cell = (row, i) => rows[row].cells[i + 1];
const ticks = new Map(); // row to its box, once it was shown
let limit = PAGE, drawnKey = "", drawnRows = null, marked = null, markedKey = "";
function bestFirst(i) {
  return i >= 0 && ("lower" in columns[i] ? !columns[i].lower : columns[i].kind === "coverage" || columns[i].more === true);
}
function showTable(visible) {
  const all = values();
  if (memo.key !== drawnKey) {
    for (const i of [RANK, ...MEANS, ...TYPES])
      rows.forEach((_, row) => { cell(row, i).textContent = shown(i, all[row][i]); });
    const kept = new Set(COUNTED.filter((i) => !state.out.has(i)).map((i) => columns[i].type));
    const out = new Set([...state.out].map((i) => columns[i].task));
    const hides = { task: (c) => out.has(c.task), type: (c) => !kept.has(c.name), band: () => out.size > 0 };
    for (const i of [...TASKS, ...TYPES, ...BANDS]) {
      const hide = hides[columns[i].kind](columns[i]);
      if (heads[i + 1].hidden === hide) continue;
      heads[i + 1].hidden = hide;
      rows.forEach((_, row) => { cell(row, i).hidden = hide; });
    }
    drawnKey = memo.key;
  }
  const list = ordered().filter((row) => visible[row]), now = list.slice(0, limit);
  if (now.join() !== drawnRows) {
    const held = document.activeElement;
    body.replaceChildren(...now.map((row) => rows[row]));
    if (body.contains(held)) held.focus();
    drawnRows = now.join();
  }
  for (const row of now) {
    if (!ticks.has(row)) {
      const box = make("input", { type: "checkbox", tabIndex: -1, ariaLabel: `Compare ${names[row]}` }), th = rows[row].cells[0];
      box.addEventListener("change", () => pick(row, box.checked));
      th.replaceChildren(make("label", {}, box, ...th.childNodes));
      ticks.set(row, box);
    }
    ticks.get(row).checked = state.picked.includes(row);
  }
  $("empty").hidden = list.length > 0;
  $("more").hidden = now.length === list.length;
  $("more").textContent = `Show all ${counted(list.length)}`;
  mark(list);
  heads.forEach((th, k) => {
    if (k - 1 === state.sort) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  });
}
function mark(list) {
  const all = values(), key = memo.key + "|" + [...list].sort((a, b) => a - b).join();
  if (key === markedKey || (marked === null && !memo.key && list.length === models.length)) return;
  for (const td of marked ?? rows.flatMap((tr) => [...tr.querySelectorAll(".best, .second")])) td.classList.remove("best", "second");
  [marked, markedKey] = [[], key];
  for (const i of SCORES) {
    const found = list.flatMap((row) => (all[row][i] === null ? [] : [[row, +fixed(all[row][i])]]));
    if (found.length < 2) continue;
    const places = [...new Set(found.map(([, value]) => value))].sort((a, b) => (columns[i].lower ? a - b : b - a));
    for (const [row, value] of found) {
      if (value !== places[0] && value !== places[1]) continue;
      cell(row, i).classList.add(value === places[0] ? "best" : "second");
      marked.push(cell(row, i));
    }
  }
}
/* One stop of the tab key for many things; arrows, Home and End move within. */
function roving(container, selector, back = "ArrowLeft", on = "ArrowRight") {
  const items = () => [...container.querySelectorAll(selector)].filter((item) => !item.closest("[hidden]"));
  const settle = (current) => items().forEach((item) => item.setAttribute("tabindex", item === current ? 0 : -1));
  settle(items()[0]);
  container.addEventListener("keydown", (event) => {
    const all = items(), at = all.indexOf(event.target.closest(selector));
    const to = { [back]: at - 1, [on]: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    (all[to] ?? all[at]).focus();
  });
  container.addEventListener("focusin", (event) => { if (event.target.closest(selector)) settle(event.target.closest(selector)); });
  return () => { if (!items().some((item) => item.tabIndex === 0)) settle(items()[0]); };
}

/* Score against size, and what no model of the same size or smaller beats. */
function showPlot(visible) {
  const all = values(), { x: X, y: Y } = state;
  $("plot").replaceChildren();
  $("front").replaceChildren();
  $("point").textContent = "";
  const less = X === undefined || columns[X].more ? -1 : 1, up = columns[Y].lower ? -1 : 1;
  const points = models.flatMap((_, row) => {
    const x = X === undefined ? null : all[row][X], y = all[row][Y];
    return visible[row] && x > 0 && y !== null ? [{ row, x, y }] : [];
  });
  if (!points.length) {
    $("plot").append(make("p", {}, X === undefined ? "No size of any model is known." : "No model shown here has both values."));
    return;
  }
  const front = [];
  for (const point of [...points].sort((a, b) => less * (a.x - b.x) || up * (b.y - a.y) || a.row - b.row))
    if (!front.length || up * (point.y - front.at(-1).y) > 0) front.push(point);
  const width = Math.max(280, Math.min(1100, $("plot").clientWidth)), height = width < 600 ? 380 : 460;
  const box = { left: 44, right: width - 14, top: 28, bottom: height - 46 };
  const span = (list) => { const low = Math.min(...list), high = Math.max(...list), pad = (high - low || Math.abs(high) || 1) * 0.06; return [low - pad, high + pad]; };
  const [x0, x1] = span(points.map((p) => Math.log10(p.x))), [y0, y1] = span(points.map((p) => p.y));
  const px = (x) => box.left + ((Math.log10(x) - x0) / (x1 - x0)) * (box.right - box.left);
  const py = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);
  const label = `${nameOf(Y)} against ${nameOf(X)}, ${points.length} models; the table below lists the best of each size`;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label });
  for (const y of steps(y0, y1, height < 400 ? 5 : 8)) {
    svg.append(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: py(y), y2: py(y) }),
      draw("text", { class: "quiet", x: box.left - 6, y: py(y) + 4, "text-anchor": "end" }, String(+y.toFixed(6))));
  }
  svg.append(draw("text", { class: "quiet", x: 2, y: 12 }, nameOf(Y)));
  let last = -Infinity;
  for (const x of decades(x0, x1)) {
    const at = px(x);
    svg.append(draw("line", { class: "axis", x1: at, x2: at, y1: box.bottom, y2: box.bottom + 5 }));
    if (at - last < 44 || at > box.right - 10) continue;
    svg.append(draw("text", { class: "quiet", x: at, y: box.bottom + 19, "text-anchor": "middle" }, short(x)));
    last = at;
  }
  svg.append(draw("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    draw("text", { x: (box.left + box.right) / 2, y: height - 8, "text-anchor": "middle" }, nameOf(X)));
  svg.append(draw("path", { class: "front", d: front.map((p, k) => (k ? `H${px(p.x)}V${py(p.y)}` : `M${px(p.x)} ${py(p.y)}`)).join("") }));
  const taken = points.map((p) => [px(p.x) - 6, py(p.y) - 6, px(p.x) + 6, py(p.y) + 6]);
  front.forEach((p, k) => {
    if (!k) return;
    const before = front[k - 1], [left, right] = [px(before.x), px(p.x)].sort((a, b) => a - b), [high, low] = [py(before.y), py(p.y)].sort((a, b) => a - b);
    taken.push([left, py(before.y) - 2, right, py(before.y) + 2], [px(p.x) - 2, high, px(p.x) + 2, low]);
  });
  for (const p of points.sort((a, b) => a.x - b.x || a.y - b.y)) {
    const best = front.includes(p), picked = state.picked.includes(p.row);
    const text = `${names[p.row]}: ${fixed(p.y)}, ${nameOf(X)} ${shown(X, p.x)}`;
    const dot = draw("circle", { class: `dot${best ? " on" : ""}${picked ? " picked" : ""}`, cx: px(p.x), cy: py(p.y), r: best || picked ? 6 : 4.5, role: "img", "aria-label": text, tabindex: -1 }, draw("title", {}, text));
    for (const event of ["focus", "pointerenter", "click"]) dot.addEventListener(event, () => $("point").replaceChildren(isolated(text)));
    svg.append(dot);
    if (!best && !picked) continue;
    const words = names[p.row].split("/").pop(), long = Math.min(words.length * 6.6, 220);
    for (const [dx, dy, anchor] of [[10, 4, 0], [-10, 4, 1], [0, -11, 0.5], [0, 20, 0.5], [8, -11, 0], [-8, -11, 1]]) {
      const left = px(p.x) + dx - anchor * long, rect = [left, py(p.y) + dy - 10, left + long, py(p.y) + dy + 3];
      if (rect[0] < box.left || rect[2] > width || rect[1] < 0 || rect[3] > box.bottom) continue;
      if (taken.some((t) => rect[0] < t[2] && rect[2] > t[0] && rect[1] < t[3] && rect[3] > t[1])) continue;
      taken.push(rect);
      svg.append(draw("text", { x: px(p.x) + dx, y: py(p.y) + dy, "text-anchor": ["start", "middle", "end"][anchor * 2] }, words.length > 33 ? words.slice(0, 32) + "…" : words));
      break;
    }
  }
  $("plot").append(svg);
  roving(svg, "circle");
  const best = columns[X].more ? "Best of those with as much or more" : "Best of each size";
  $("front").append(make("h3", {}, best),
    plainTable(best, ["Model", nameOf(X), nameOf(Y)], front.map((p) => [isolated(names[p.row]), shown(X, p.x), fixed(p.y)]), [1, 2]));
}
function steps(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((k) => k * power >= raw) ?? 10), found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}
function decades(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= high; power++)
    for (const k of high - low > 1.5 ? [1, 3] : high - low > 0.5 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9])
      if (Math.log10(k) + power >= low && Math.log10(k) + power <= high) found.push(k * 10 ** power);
  return found;
}
function plainTable(label, header, lines, numeric) {
  const kind = (k) => ({ className: numeric.includes(k) ? "n" : "" });
  return make("div", { className: "scroll", role: "region", ariaLabel: label, tabIndex: 0 }, make("table", { className: "plain", ariaLabel: label },
    make("thead", {}, make("tr", {}, ...header.map((text, k) => make("th", { scope: "col", ...kind(k) }, text)))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((content, k) => (k ? make("td", kind(k), content) : make("th", { scope: "row" }, content))))))));
}

/* Types of tasks, a bar a model. */
function compared(visible) {
  return state.picked.length ? state.picked : ordered().filter((row) => visible[row] && values()[row][RANK] !== null).slice(0, 3);
}
function showTypes(visible) {
  const all = values(), picked = compared(visible);
  $("picked").replaceChildren(...picked.map((row, k) => make("li", {}, state.picked.length
    ? make("button", { type: "button", "aria-label": `Remove ${names[row]}`, onclick: () => { pick(row, false); $("add").focus(); } }, make("span", { className: `c${k}`, "aria-hidden": "true" }, "■ "), isolated(names[row]), "\u00a0✕")
    : make("span", {}, make("span", { className: `c${k}`, "aria-hidden": "true" }, "■ "), isolated(names[row])))));
  const types = TYPES.filter((i) => picked.some((row) => all[row][i] !== null));
  $("bars").replaceChildren();
  if (!types.length) {
    $("bars").append(make("p", {}, "No model shown here has every chosen task. Choose fewer tasks, or add models."));
    return;
  }
  const found = types.flatMap((i) => picked.map((row) => all[row][i] ?? 0));
  const low = Math.min(0, ...found), high = Math.max(1, ...found);
  const width = Math.max(280, Math.min(900, $("bars").clientWidth)), room = width - 56, bar = 15;
  const at = (value) => ((value - low) / (high - low)) * room;
  const part = 26 + picked.length * (bar + 2) + 8, height = types.length * part;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Scores by type of task; the table below has the numbers" });
  types.forEach((i, t) => {
    svg.append(draw("text", { x: 0, y: t * part + 18 }, nameOf(i)));
    picked.forEach((row, k) => {
      const y = t * part + 26 + k * (bar + 2), value = all[row][i];
      if (value !== null) svg.append(draw("rect", { class: `c${k}`, x: Math.min(at(0), at(value)), y, height: bar, width: Math.max(1, Math.abs(at(value) - at(0))) }, draw("title", {}, `${names[row]}: ${fixed(value)}`)));
      svg.append(draw("text", { x: value === null ? 0 : Math.max(at(0), at(value)) + 5, y: y + 12 }, value === null ? "—" : fixed(value)));
    });
    svg.append(draw("line", { class: "axis", x1: at(0), x2: at(0), y1: t * part + 24, y2: t * part + part - 8 }));
  });
  const lacking = picked.filter((row) => types.every((i) => all[row][i] === null)).map((row) => names[row]);
  if (lacking.length) $("bars").append(make("p", {}, `Without every chosen task, so without a mean: ${lacking.join(", ")}.`));
  $("bars").append(svg, plainTable("Scores by type of task", ["Model", ...types.map(nameOf)], picked.map((row) => [isolated(names[row]), ...types.map((i) => shown(i, all[row][i]))]), types.map((_, k) => k + 1)));
}
function pick(row, on) {
  const picked = state.picked.filter((other) => other !== row);
  change({ picked: on ? [...picked, row].slice(-MAX_PICKED) : picked });
}

/* A task: every model with its interval. */
let taskLimit = PAGE;
function showTask(visible) {
  const i = state.task, column = columns[i], known = intervals[i] ?? {};
  const list = models.flatMap((model, row) => (visible[row] && model.values[i] !== null ? [{ row, value: model.values[i], between: known[row] }] : []))
    .sort((a, b) => (column.lower ? 1 : -1) * (a.value - b.value) || a.row - b.row);
  const some = list.some((item) => item.between);
  $("about").textContent = `${column.type}, ${column.metric}${column.lower ? " (lower is better)" : ""}; ${counted(list.length)}. `
    + (some ? "Intervals are those of 95 % over the examples of the task." : "No intervals: no per-example values are stored.");
  $("scores").replaceChildren();
  if (!list.length) return;
  const now = list.slice(0, taskLimit), ends = now.flatMap((item) => item.between ?? [item.value]);
  const least = Math.min(...ends), most = Math.max(...ends), pad = (most - least || 1) * 0.05;
  const low = least < 0 ? least - pad : Math.max(0, least - pad), high = most > 100 ? most + pad : Math.min(100, most + pad);
  const width = innerWidth < 640 ? 100 : 220, at = (value) => 6 + ((value - low) / (high - low)) * (width - 12);
  const line = (item) => draw("svg", { viewBox: `0 0 ${width} 18`, width, height: 18, "aria-hidden": "true" },
    draw("line", { class: "grid", x1: 0, x2: width, y1: 9, y2: 9 }),
    ...(item.between ? [draw("line", { class: "whisker", x1: at(item.between[0]), x2: at(item.between[1]), y1: 9, y2: 9 })] : []),
    draw("circle", { class: "value", cx: at(item.value), cy: 9, r: 4.5 }));
  const places = new Map();
  list.forEach((item, k) => { if (!places.has(fixed(item.value))) places.set(fixed(item.value), String(k + 1)); });
  const lines = now.map((item) => [isolated(names[item.row]), places.get(fixed(item.value)), fixed(item.value), line(item),
    ...(some ? [item.between ? `${fixed(item.between[0])} to ${fixed(item.between[1])}` : "—"] : [])]);
  $("scores").append(plainTable(`Scores on ${nameOf(i)}`, ["Model", "Place", "Score", `${fixed(low)} to ${fixed(high)}`, ...(some ? ["Interval"] : [])], lines, [1, 2, 4]));
  if (list.length > taskLimit)
    $("scores").append(make("button", { type: "button", onclick: () => { taskLimit = models.length; show(); $("scores").querySelector("tbody").rows[PAGE].scrollIntoView(); } }, `Show all ${counted(list.length)}`));
}

/* Everything follows the state. */
function show() {
  const visible = matching(), count = visible.filter(Boolean).length;
  for (const section of document.querySelectorAll("section[data-view]")) section.hidden = section.dataset.view !== state.view;
  for (const link of document.querySelectorAll("#views a")) {
    const own = state;
    state = { ...own, view: link.dataset.view };
    link.href = toHash();
    state = own;
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const [control, value] of controls) if (control.value !== value()) control.value = value();
  for (const [box, on, some] of boxes) [box.checked, box.indeterminate] = [on(), some ? some() : false];
  const chosen = COUNTED.length - state.out.size;
  $("chosen").textContent = `${chosen} of ${COUNTED.length}`;
  $("status").textContent = `${count} of ${counted(models.length)}, by ${nameOf(state.sort)}, ${state.down ? "descending" : "ascending"}`
    + (state.out.size ? `; means and ranks over ${chosen} of ${COUNTED.length} tasks` : "");
  ({ table: showTable, plot: showPlot, types: showTypes, task: showTask })[state.view](visible);
  for (const settle of stops) settle();
}
function change(what, push = false) {
  state = { ...state, ...what };
  show();
  try { history[push ? "pushState" : "replaceState"](null, "", toHash()); } catch { /* a browser may refuse very many in a row; the next one has it all */ }
}

/* Controls, made once. */
const controls = [], boxes = [];
const bound = (control, value, set) => {
  controls.push([control, value]);
  control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => set(control.value));
  return control;
};
const option = (value, text) => make("option", { value }, text);
const tongues = new Intl.DisplayNames("en", { type: "language" });
const language = (code) => {
  try { return `${tongues.of(code)} (${code})`; } catch { return code; }
};
const filters = $("filters");
filters.addEventListener("submit", (event) => event.preventDefault());
filters.append(make("label", { className: "wide" }, "Name", bound(make("input", { type: "search", autocomplete: "off", id: "q" }), () => state.q, (q) => change({ q }))));
if (SIZE >= 0)
  for (const [key, text] of [["min", "Millions of parameters, from"], ["max", "to"]])
    filters.append(make("label", {}, text, bound(make("input", { type: "number", min: 0, step: "any", id: key, ...(key === "max" ? { ariaLabel: "Millions of parameters, to" } : {}) }), () => state[key], (value) => change({ [key]: value }))));
const codes = [...new Set(models.flatMap((model) => model.languages))].map((code) => [code, language(code)]).sort((a, b) => collator.compare(a[1], b[1]));
if (codes.length)
  filters.append(make("label", {}, "Language", bound(make("select", { id: "language" }, option("", "any"), ...codes.map(([code, text]) => option(code, text))), () => state.language, (value) => change({ language: value }))));
for (const i of WORDS) {
  const kinds = [...new Set(models.map((model) => model.values[i]).filter((value) => value !== null))].sort();
  filters.append(make("label", {}, nameOf(i), bound(make("select", { name: nameOf(i) }, option("", "any"), ...kinds.map((kind) => option(kind, kind))), () => state.words[i] ?? "", (value) => change({ words: { ...state.words, [i]: value } }))));
}
filters.append(make("button", { type: "button", onclick: () => change({ q: "", min: "", max: "", language: "", words: {} }) }, "Clear filters"));

const tick = (text, on, set, some) => {
  const box = make("input", { type: "checkbox" });
  boxes.push([box, on, some]);
  box.addEventListener("change", () => set(box.checked));
  return make("label", {}, box, text);
};
const choose = (list, on) => {
  const out = new Set(state.out);
  for (const i of list) { if (on) out.delete(i); else out.add(i); }
  change({ out });
};
for (const type of new Set(COUNTED.map((i) => columns[i].type))) {
  const members = COUNTED.filter((i) => columns[i].type === type);
  const all = () => members.every((i) => !state.out.has(i)), some = () => !all() && members.some((i) => !state.out.has(i));
  $("tasks").append(make("fieldset", {}, make("legend", {}, tick(type, all, (on) => choose(members, on), some)),
    make("div", {}, ...members.map((i) => tick(nameOf(i), () => !state.out.has(i), (on) => choose([i], on))))));
}
$("all").onclick = () => change({ out: new Set() });
$("none").onclick = () => change({ out: new Set(COUNTED) });
const selector = (key, list, text) => make("label", {}, text, bound(make("select", { id: key }, ...list.map((i) => option(String(i), nameOf(i)))), () => String(state[key]), (value) => change({ [key]: +value })));
if (NUMBERS.length) $("axes").append(selector("x", NUMBERS, "Across"), selector("y", SCORES, "Up"));
$("task").append(...TASKS.map((i) => option(String(i), nameOf(i))));
bound($("task"), () => String(state.task), (value) => change({ task: +value }));
$("names").append(...names.map((name) => option(name, "")));
$("add").addEventListener("change", () => {
  const row = names.indexOf($("add").value);
  if (row < 0) return;
  $("add").value = "";
  pick(row, true);
});
const showMore = (to) => {
  limit = to;
  show();
};
$("more").onclick = () => {
  const next = Math.min(limit, rows.length);
  showMore(rows.length);
  body.rows[next]?.querySelector("input")?.focus();
};
$("box").addEventListener("scroll", () => {
  const box = $("box");
  if (!$("more").hidden && box.scrollTop + 2 * box.clientHeight > box.scrollHeight) showMore(limit + PAGE);
}, { passive: true });
addEventListener("beforeprint", () => showMore(rows.length));
heads.forEach((th, k) => {
  const i = k - 1;
  th.replaceChildren(make("button", { type: "button", onclick: () => change({ sort: i, down: state.sort === i ? !state.down : bestFirst(i) }) }, ...th.childNodes));
});
const stops = [roving(table.tHead, "button"), roving(body, "input", "ArrowUp", "ArrowDown")];
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("results").focus();
});
for (const link of document.querySelectorAll("#views a"))
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    change({ view: link.dataset.view }, true);
  });
const kept = { get: () => { try { return localStorage.getItem("scheme"); } catch { return null; } }, set: (value) => { try { localStorage.setItem("scheme", value); } catch { /* the choice lasts as long as the page */ } } };
const paint = (value) => { if (value) document.documentElement.dataset.scheme = value; else delete document.documentElement.dataset.scheme; };
$("scheme").value = kept.get() ?? "";
paint($("scheme").value);
$("scheme").addEventListener("change", () => { paint($("scheme").value); kept.set($("scheme").value); });
$("colours").hidden = $("controls").hidden = false;
$("plainly").hidden = true;
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide && state.view !== "table") show(); wide = innerWidth; });
addEventListener("popstate", () => { fromHash(); show(); });
fromHash();
const filtered = state.q || state.min || state.max || state.language || Object.keys(state.words).length;
if (innerWidth < 640 && !filtered) $("narrow").open = false;
show();
}
