// Reads what lagscale tells every few seconds and draws it. All text comes in by textContent, so nothing of a cluster is markup.
"use strict";

const EVERY_MS = 5000;
const ROWS = 50;
const view = { search: "", only: "all", sort: "state", down: false, page: 0 };
let rows = null;
let detail = null;
let answered = null;
let asking = null;

const main = document.getElementById("main");
const age = document.getElementById("age");

function element(name, properties = {}, ...children) {
  const { class: classes, data = {}, ...others } = properties;
  const made = document.createElement(name);
  if (classes) made.className = classes;
  Object.assign(made.dataset, data);
  for (const [key, value] of Object.entries(others)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function drawing(name, properties, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The object that the address names, if it names one. */
function named() {
  const parts = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  return parts.length === 2 && parts[0] && parts[1] ? parts : null;
}

const address = (row) => `#/${encodeURIComponent(row.namespace)}/${encodeURIComponent(row.name)}`;

async function read() {
  const object = named();
  asking?.abort();
  asking = new AbortController();
  const path = object ? `objects/${object.map(encodeURIComponent).join("/")}` : "objects";
  try {
    const response = await fetch(path, { signal: asking.signal });
    if (response.status === 404) {
      detail = { missing: object };
    } else if (!response.ok) {
      throw new Error(`${response.status}`);
    } else if (object) {
      detail = await response.json();
    } else {
      rows = await response.json();
    }
    answered = new Date();
    draw();
  } catch (error) {
    if (error.name === "AbortError") return;
  }
  told();
}

/** Says how old the page is once lagscale does not answer. */
function told() {
  const late = answered && Date.now() - answered > 3 * EVERY_MS;
  const text = !answered ? "" : late ? `no answer since ${answered.toLocaleTimeString()}: the numbers are of then` : `as of ${answered.toLocaleTimeString()}`;
  if (age.textContent !== text) age.textContent = text;
  age.classList.toggle("bad", Boolean(late));
}

function draw() {
  if (named()) return drawObject();
  detail = null;
  document.title = "lagscale";
  if (rows) drawRows();
}

const number = (text) => {
  const found = /^(-?[\d.]+)([a-zA-Z]*)$/.exec(text ?? "");
  if (!found) return null;
  const scale = { m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 }[found[2]];
  return scale === undefined ? null : Number(found[1]) * scale;
};

const wrong = (row) => row.state !== "" || row.ready === "False" || row.metrics.some((m) => m.value === null);

/** The largest value; what is withheld is above all, since somebody should look. */
const largest = (row) => Math.max(-1, ...row.metrics.map((m) => (m.value === null ? Infinity : number(m.value) ?? -1)));

const SORTS = {
  name: ["Object", (row) => `${row.namespace}/${row.name}`],
  value: ["Told to the HPA", largest],
  replicas: ["Replicas", (row) => row.replicas ?? -1],
  bound: ["Bound", (row) => row.maxReplicas ?? -1],
  state: ["State", (row) => (wrong(row) ? `0${row.state}` : `1${row.active === "True" ? 0 : 1}`)],
};

function chosen() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (row) => {
    const text = `${row.namespace}/${row.name} ${row.target} ${row.state} ${row.metrics.map((m) => m.name).join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const is = { all: () => true, wrong, active: (row) => row.active === "True" }[view.only];
  const by = SORTS[view.sort][1];
  const order = (a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0);
  const found = rows.filter((row) => is(row) && has(row)).sort(order);
  return view.down ? found.reverse() : found;
}

function drawRows() {
  if (!document.getElementById("rows")) {
    const search = element("input", { id: "search", type: "search", autocomplete: "off", oninput: change((e) => (view.search = e.target.value)) });
    search.value = view.search;
    const only = element(
      "select",
      { id: "only", onchange: change((e) => (view.only = e.target.value)) },
      element("option", { value: "all" }, "all"),
      element("option", { value: "wrong" }, "in trouble"),
      element("option", { value: "active" }, "with work"),
    );
    only.value = view.only;
    const heads = Object.entries(SORTS).map(([key, [title]]) => element("th", { scope: "col", data: { key } }, element("button", { type: "button", onclick: () => sortBy(key) }, title)));
    const pages = element(
      "nav",
      { class: "pages", "aria-label": "Pages" },
      element("button", { id: "before", type: "button", onclick: () => turn(-1) }, "← before"),
      element("span", { id: "count", role: "status" }),
      element("button", { id: "next", type: "button", onclick: () => turn(1) }, "next →"),
    );
    main.replaceChildren(
      element("div", { class: "tools" }, element("label", {}, "Search ( / )", search), element("label", {}, "Show", only)),
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", { id: "rows" })),
      pages,
    );
  }
  const found = chosen();
  const last = Math.max(0, Math.ceil(found.length / ROWS) - 1);
  view.page = Math.min(Math.max(0, view.page), last);
  const from = view.page * ROWS;
  const shown = found.slice(from, from + ROWS);
  for (const head of main.querySelectorAll("th")) {
    if (head.dataset.key === view.sort) head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const body = document.getElementById("rows");
  const before = new Map([...body.children].map((line) => [line.dataset.object, line]));
  const lines = shown.map((row) => tableRow(row, before.get(address(row))));
  // A line that stays where it is is not touched: a click or the focus on it would be lost.
  if (lines.length !== body.children.length || lines.some((line, n) => body.children[n] !== line)) body.replaceChildren(...lines);
  const all = found.length === rows.length ? "" : ` (of ${rows.length})`;
  document.getElementById("count").textContent = found.length ? `${from + 1} to ${from + shown.length} of ${found.length}${all}` : `no object${rows.length ? ` of ${rows.length}` : ""}`;
  document.getElementById("before").disabled = view.page === 0;
  document.getElementById("next").disabled = view.page === last;
}

/** The line of an object: the one it has, with other numbers, or a new one. */
function tableRow(row, line) {
  const label = (key) => ({ label: SORTS[key][0] });
  const values = row.metrics.map((m) => element("div", { class: m.value === null ? "withheld" : "", title: m.name }, m.value ?? "withheld"));
  const wants = row.desiredReplicas !== null && row.desiredReplicas !== row.replicas ? ` → ${row.desiredReplicas}` : "";
  const name = line?.firstElementChild ?? element("td", { data: label("name") }, element("div", {}, element("a", { href: address(row) }, `${row.namespace}/${row.name}`), element("div", { class: "quiet" }, row.target)));
  const cells = [
    element("td", { class: "number", data: label("value") }, element("div", {}, ...values)),
    element("td", { class: "number", data: label("replicas") }, row.replicas === null ? "–" : `${row.replicas}${wants}`),
    element("td", { class: "number", data: label("bound") }, row.maxReplicas === null ? "–" : `${row.maxReplicas}`),
    element("td", { data: label("state") }, state(row)),
  ];
  if (!line) return element("tr", { data: { object: address(row) } }, name, ...cells);
  while (line.childElementCount > 1) line.lastElementChild.remove();
  line.append(...cells);
  return line;
}

function state(row) {
  if (row.state) return element("span", { class: row.ready === "False" ? "bad" : "warn" }, row.state);
  return element("span", { class: row.active === "True" ? "good" : "quiet" }, row.active === "True" ? "work to do" : "at rest");
}

const change = (take) => (event) => {
  take(event);
  view.page = 0;
  drawRows();
};

function sortBy(key) {
  view.down = view.sort === key ? !view.down : key !== "name" && key !== "state";
  view.sort = key;
  view.page = 0;
  drawRows();
}

function turn(by) {
  view.page += by;
  drawRows();
}

function drawObject() {
  if (!detail) return;
  const [namespace, name] = named();
  document.title = `${namespace}/${name} – lagscale`;
  let shown = document.getElementById("object");
  if (!shown) {
    shown = element("div", { id: "object" });
    main.replaceChildren(element("p", {}, element("a", { href: "#/" }, "← all objects")), shown);
  }
  if (detail.missing) {
    shown.replaceChildren(element("p", { class: "bad" }, `There is no ScaledObject ${namespace}/${name} here.`));
    return;
  }
  if (!detail.row || detail.row.namespace !== namespace || detail.row.name !== name) return;
  const { row, explanation, history, topics, every } = detail;
  const fact = (title, value) => element("div", {}, element("dt", {}, title), element("dd", {}, value ?? "–"));
  const metrics = history?.metrics ?? [];
  shown.replaceChildren(
    element("h2", {}, `${namespace}/${name}`),
    element("p", {}, state(row)),
    element(
      "dl",
      {},
      fact("Workload", row.target),
      fact("Replicas", row.replicas === null ? null : `${row.replicas}`),
      fact("The HPA wants", row.desiredReplicas === null ? null : `${row.desiredReplicas}`),
      fact("Bound (maxReplicas)", row.maxReplicas === null ? null : `${row.maxReplicas}`),
      ...(explanation ? [fact("minReplicaCount", `${explanation.minReplicaCount}`), fact("maxReplicaCount", `${explanation.maxReplicaCount}`)] : []),
      fact("Oldest reading", row.readSeconds === null ? null : `${row.readSeconds} s ago`),
    ),
    ...(explanation ? [...sentences("Why it has these replicas", explanation.because), ...sentences("What would change them", explanation.wouldChange)] : []),
    chart("Consumers", every, ["replicas", history?.replicas], ["bound", history?.bound]),
    ...metrics.map((m) => chart(m.name, every, ["lag, records", m.lag], ["signal, told to the HPA", m.signal])),
    ...topics.flatMap(bars),
  );
}

function sentences(title, all) {
  if (!all.length) return [];
  return [element("h3", {}, title), element("ul", {}, ...all.map((text) => element("li", {}, text)))];
}

/** Two lines over the time that is known, five minutes to an hour; gaps where nothing was. */
function chart(title, every, ...lines) {
  const [width, height, left, bottom, top] = [720, 190, 56, 24, 10];
  const points = Math.max(300 / every, ...lines.map(([, values]) => values?.length ?? 0));
  const minutes = Math.round((points * every) / 60);
  const known = lines.flatMap(([, values]) => values ?? []).filter((v) => v !== null);
  const most = Math.max(1, ...known);
  const x = (place) => left + ((width - left - 6) * place) / (points - 1);
  const y = (value) => top + (height - top - bottom) * (1 - Math.max(0, value) / most);
  const path = (values) => {
    let text = "";
    let pen = false;
    values.forEach((value, n) => {
      const at = x(points - values.length + n).toFixed(1);
      if (value === null) pen = false;
      else {
        // A point alone is drawn as a short line.
        text += pen ? `L${at} ${y(value).toFixed(1)}` : `M${(at - 3).toFixed(1)} ${y(value).toFixed(1)}h3`;
        pen = true;
      }
    });
    return text;
  };
  const last = (values) => (values?.length ? values[values.length - 1] ?? "unknown" : "unknown");
  const label = `${title}: ${lines.map(([name, values]) => `${name} now ${last(values)}`).join(", ")}`;
  const svg = drawing(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    drawing("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - 6}`, fill: "none" }),
    ...[0, most].map((value) => drawing("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value))),
    ...[1, 0.5, 0].map((share) => drawing("text", { x: x((points - 1) * (1 - share)), y: height - 6, "text-anchor": share ? "middle" : "end" }, share ? `−${+(minutes * share).toFixed(1)} min` : "now")),
    ...lines.map(([, values], n) => drawing("path", { class: n ? "second" : "first", d: path(values ?? []) })),
  );
  const keys = lines.map(([name, values], n) => element("span", { class: n ? "key second" : "key" }, `${name}: ${typeof last(values) === "number" ? short(last(values)) : last(values)}`));
  return element("figure", {}, element("figcaption", {}, title, ...keys), svg);
}

function short(value) {
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= size) return `${+(value / (letter === "k" ? 1e3 : size)).toPrecision(3)}${letter}`;
  }
  return `${+value.toFixed(2)}`;
}

function bars(topic) {
  const most = Math.max(1, ...topic.partitions.map((p) => p.lag));
  const some = topic.partitions.length < topic.count ? ` – the ${topic.partitions.length} with the largest lags of ${topic.count}` : "";
  const bar = (p) => {
    const filled = element("div", { class: "filled" });
    filled.style.width = `${(100 * Math.max(0, p.lag)) / most}%`;
    const stands = p.committed === null ? `no commit, end ${p.end}` : `committed ${p.committed}, end ${p.end}`;
    return element("li", { title: stands }, element("span", { class: "quiet" }, `${p.partition}`), element("div", { class: "bar" }, filled), element("span", { class: "lag" }, p.lag.toLocaleString("en")));
  };
  return [element("h3", {}, `Partitions of ${topic.topic}, group ${topic.group}${some}`), element("ol", { class: "bars" }, ...topic.partitions.map(bar))];
}

addEventListener("hashchange", () => {
  main.replaceChildren(element("p", {}, "Loading…"));
  main.focus();
  detail = null;
  draw();
  read();
});

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing && !named()) {
    event.preventDefault();
    document.getElementById("search")?.focus();
  } else if (event.key === "Escape" && named()) {
    location.hash = "#/";
  } else if (!typing && !named() && rows && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    turn(event.key === "ArrowLeft" ? -1 : 1);
  }
});

setInterval(read, EVERY_MS);
setInterval(told, 1000);
read();
