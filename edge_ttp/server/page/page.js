"use strict";
// The playground: everything over the same native protocol that other programs use. No text becomes HTML.
let running = null; // the request that draws
let answer = null; // the last whole generation
let adapting = null;

// The token
function showKey() { $("key").hidden = false; $("token").focus(); }
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("key").hidden = true;
  begin();
});

// Parts, as tabs: arrow keys go from one to the next
const tabs = [...document.querySelectorAll('[role="tab"]')];
function choose(tab, focus) {
  for (const one of tabs) {
    const on = one === tab;
    one.setAttribute("aria-selected", String(on));
    one.tabIndex = on ? 0 : -1;
    $(one.getAttribute("aria-controls")).hidden = !on;
  }
  if (focus) tab.focus();
  tab.dispatchEvent(new Event("chosen"));
  if (tab.id === "tab-history") { boardHere(); refresh(); }
  if (tab.id === "tab-learned") showLearned();
}
tabs.forEach((tab, place) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(tabs[(place + step + tabs.length) % tabs.length], true);
  });
});
$("language").addEventListener("change", () => {
  tongue = $("language").value;
  remember("edge-ttp-language", tongue);
  translate();
  if (answer) showPool(answer);
});

// Writing
let cards = [];
function showCards(count) {
  $("pool").hidden = false;
  cards = Array.from({ length: count }, (_, place) => {
    const text = make("p");
    const says = make("span", { className: "quiet" });
    const pick = make("button", { type: "button", textContent: word("prefer"), hidden: true });
    pick.addEventListener("click", () => prefer(place));
    return { text, says, pick, node: make("li", { className: "card" }, text, make("footer", {}, says, pick)) };
  });
  $("cards").replaceChildren(...cards.map((card) => card.node));
}
function card(place) {
  if (place >= cards.length) {
    const before = cards.map((one) => one.text.textContent);
    showCards(place + 1);
    before.forEach((text, at) => { cards[at].text.textContent = text; });
  }
  return cards[place];
}
const rewriting = () => $("task-rewrite").checked;
function showTask() {
  $("prompt-label").dataset.word = rewriting() ? "promptRewrite" : "prompt";
  $("prompt-label").textContent = word($("prompt-label").dataset.word);
  $("as-notes-part").hidden = !rewriting();
  $("context-part").hidden = rewriting(); // a document belongs to what is answered
}
function draft() {
  const number = (id) => ($(id).value ? Number($(id).value) : null);
  const text = $("prompt").value;
  const body = { ...(rewriting() ? { text, notes: $("as-notes").checked } : { prompt: text }), stream: true, budget: { mode: $("mode").value } };
  if (number("deadline")) body.budget.deadline_s = number("deadline");
  if (number("count")) body.n = number("count");
  if ($("kind").value.trim()) body.kind = $("kind").value.trim();
  if (!keeping()) body.store = false;
  if (!rewriting() && $("context").value.trim()) body.context = [$("context").value];
  return body;
}
async function write() {
  clearAlert();
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const began = performance.now();
  answer = null;
  $("result").hidden = true;
  $("cards").replaceChildren();
  cards = [];
  $("go").disabled = true;
  $("stop").disabled = false;
  $("status").textContent = word("working");
  $("progress").hidden = false;
  $("progress").removeAttribute("value");
  const asked = draft();
  recall(asked);
  let finished = 0, planned = 0, said = null;
  try {
    const response = await ask("POST", rewriting() ? "/rewrite" : "/generate", asked, { whole: true, signal: mine.signal });
    for await (const event of messages(response)) {
      if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
      if (event.type === "planned") {
        planned = event.n;
        showCards(planned);
        $("status").textContent = word("planned", { n: planned });
      } else if (event.type === "queued") {
        $("status").textContent = word("waiting", { n: event.position ?? "?" });
      } else if (event.type === "delta") {
        card(event.candidate).text.append(event.text);
      } else if (event.type === "finished" || event.type === "dropped") {
        card(event.candidate).text.textContent = event.text;
        finished += 1;
        $("progress").max = Math.max(planned, finished);
        $("progress").value = finished;
        $("status").textContent = word("progressOf", { done: finished, n: Math.max(planned, finished) });
      } else if (event.rewritten) {
        said = event.rewritten;
      } else if (event.generation) {
        answer = event.generation;
      }
    }
    if (answer) {
      $("status").textContent = word("done", { s: ((performance.now() - began) / 1000).toFixed(1) });
      showAnswer(answer, said);
    }
  } catch (error) {
    if (error.name === "AbortError") $("status").textContent = word("stopped");
    else { $("status").textContent = ""; fail(error); }
  } finally {
    if (running === mine) {
      running = null;
      $("go").disabled = false;
      $("stop").disabled = true;
      $("progress").hidden = true;
    }
  }
}
function showAnswer(found, said) {
  $("result").hidden = false;
  showFacts(found, said);
  $("reason").textContent = found.selection.reason;
  $("final").value = found.text;
  $("judged").textContent = "";
  $("retract").hidden = true;
  $("notes").replaceChildren(...found.notes.map((text) => make("li", { textContent: text })));
  showPool(found);
  $("plan-part").hidden = true;
  if (!said) showPlan(found);
}
// What a text that was said again did with the numbers, names and dates of the one that was given
function showFacts(found, said) {
  $("facts").hidden = !said;
  if (!said) return;
  const { missing, added } = said.facts[found.chosen];
  const lists = [missing.length && word("factsMissing", { list: missing.join(", ") }), added.length && word("factsAdded", { list: added.join(", ") })];
  $("facts").classList.toggle("warned", missing.length + added.length > 0);
  $("facts").textContent = lists.filter(Boolean).join(" ") || word("factsKept");
}
function showPool(found) {
  showCards(found.candidates.length);
  found.candidates.forEach((one, place) => {
    const { text, says, pick, node } = cards[place];
    text.textContent = one.text;
    const sd = one.variance === null ? null : Math.sqrt(one.variance);
    says.textContent = one.mean === null ? word("notScored") : word("expected", { mean: one.mean.toFixed(2), sd: sd.toFixed(2) });
    pick.hidden = !found.stored;
    pick.setAttribute("aria-label", `${word("prefer")}: ${one.text.slice(0, 60)}`);
    if (place === found.chosen) {
      node.classList.add("chosen");
      says.textContent += ` · ${word("chosen")}`;
    }
  });
}
async function recall(asked) {
  try {
    const found = await ask("GET", `/history/recall?${new URLSearchParams({ q: asked.prompt ?? asked.text, limit: "4", ...(asked.kind ? { kind: asked.kind } : {}) })}`);
    $("recalled-part").hidden = false;
    const items = found.map(({ item }) => make("li", {}, make("p", { className: "quiet", textContent: `${word("input")}: ${short(item.input)}` }), make("p", { textContent: short(item.output, 400) })));
    $("recalled").replaceChildren(...(items.length ? items : [make("li", { textContent: word("nothingRecalled") })]));
  } catch (error) { fail(error); }
}
const short = (text, most = 200) => (text.length > most ? `${text.slice(0, most)}…` : text);

// The plan as a picture: gain and seconds over the number of candidates
async function showPlan(found) {
  let plan;
  try { plan = await ask("POST", "/plan", { prompt: found.prompt }); } catch { return; }
  const points = plan.curve.filter((point) => point.seconds !== null);
  $("plan-part").hidden = points.length < 2;
  if (points.length < 2) return;
  const W = 360, H = 190, left = 34, right = 46, top = 12, base = H - 34;
  const at = (n) => left + (W - left - right) * (Math.log2(n) / Math.log2(points.at(-1).n));
  const gains = points.map((point) => point.gain), least = Math.min(...gains), most = Math.max(...gains) - least || 1;
  const longest = Math.max(...points.map((point) => point.seconds)) || 1;
  const up = (share) => base - (base - top) * share;
  const gain = (point) => (point.gain - least) / most, time = (point) => point.seconds / longest;
  const line = (value) => points.map((point, place) => `${place ? "L" : "M"}${at(point.n).toFixed(1)} ${up(value(point)).toFixed(1)}`).join("");
  const svg = (tag, properties, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(properties)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const words = word("planWords", { n: found.n, why: plan.plan.bound_by });
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": words });
  const here = points.reduce((best, point) => (Math.abs(point.n - found.n) < Math.abs(best.n - found.n) ? point : best));
  const x = at(here.n);
  picture.append(
    svg("path", { class: "axis", d: `M${left} ${top}V${base}H${W - right}V${top}` }),
    svg("line", { class: "at", x1: x, x2: x, y1: top, y2: base }),
    svg("path", { class: "time", d: line(time) }),
    svg("path", { class: "gain", d: line(gain) }),
    svg("circle", { class: "gain-at", cx: x, cy: up(gain(here)), r: 4 }),
    svg("circle", { class: "time-at", cx: x, cy: up(time(here)), r: 4 }),
    svg("text", { x: left - 4, y: top + 8, "text-anchor": "end" }, (least + most).toFixed(2)),
    svg("text", { x: left - 4, y: base, "text-anchor": "end" }, least.toFixed(2)),
    svg("text", { x: W - right + 4, y: top + 8 }, `${longest.toFixed(1)} s`),
    svg("text", { x: W - right + 4, y: base }, "0 s"),
    svg("text", { x: W / 2, y: H - 4, "text-anchor": "middle" }, word("candidates")),
  );
  for (const n of [1, 2, 4, 8, 16, 32, 64, 128, 256]) if (n <= points.at(-1).n) picture.append(svg("text", { x: at(n), y: base + 14, "text-anchor": "middle" }, n));
  $("plan").replaceChildren(picture);
  $("plan-words").textContent = words;
}

// Judgments
async function judge(body, said) {
  if (!answer) return;
  clearAlert();
  try {
    await ask("POST", `/generations/${answer.generation_id}/feedback`, body);
    $("judged").textContent = word(said);
    $("retract").hidden = false;
  } catch (error) { fail(error); }
}
const send = () => {
  const text = $("final").value;
  return text === answer?.text ? judge({ kind: "accept" }, "accepted") : judge({ kind: "edit", text }, "edited");
};
function prefer(place) {
  $("final").value = answer.candidates[place].text;
  return judge({ kind: "prefer", candidate: place }, "use");
}
for (const id of ["task-answer", "task-rewrite"]) $(id).addEventListener("change", showTask);
$("ask").addEventListener("submit", (event) => { event.preventDefault(); write(); });
$("prompt").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write(); });
$("stop").addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (event) => { if (event.key === "Escape") { running?.abort(); adapting?.abort(); } });
$("send").addEventListener("click", send);
$("reject").addEventListener("click", () => judge({ kind: "reject" }, "rejected"));
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("final").value); } catch { $("final").select(); document.execCommand("copy"); }
  $("judged").textContent = word("copied");
});
$("retract").addEventListener("click", async () => {
  try {
    await ask("DELETE", `/generations/${answer.generation_id}/feedback`);
    $("judged").textContent = word("taken");
    $("retract").hidden = true;
  } catch (error) { fail(error); }
});

// My writing
async function refresh() {
  clearAlert();
  const q = $("words").value.trim();
  try {
    const [rows, counts] = await Promise.all([
      q ? ask("GET", `/history/search?${new URLSearchParams({ q })}`) : ask("GET", "/history").then((items) => items.map((item) => ({ item }))),
      ask("GET", "/history/stats"),
    ]);
    const kinds = Object.entries(counts.kinds).map(([kind, count]) => `${kind} ${count}`).join(", ") || word("none");
    $("counts").textContent = word("counts", { items: counts.items, kinds, generations: counts.generations });
    $("kinds").replaceChildren(...Object.keys(counts.kinds).map((kind) => make("option", { value: kind })));
    $("items").replaceChildren(...(rows.length ? rows.map(row) : [make("li", { textContent: word("nothing") })]));
  } catch (error) { fail(error); }
}
function row({ item, snippet, highlights, field }) {
  const text = make("p");
  if (snippet && field === "output") {
    let at = 0;
    for (const [start, end] of highlights) { text.append(snippet.slice(at, start), make("mark", { textContent: snippet.slice(start, end) })); at = end; }
    text.append(snippet.slice(at));
  } else text.textContent = short(item.output, 400);
  const drop = make("button", { type: "button", textContent: word("forgetOne") });
  drop.setAttribute("aria-label", `${word("forgetOne")}: ${item.output.slice(0, 60)}`);
  drop.addEventListener("click", () => forget({ item: item.id }));
  const head = `${new Date(item.created_at).toLocaleDateString(tongue)} · ${item.kind} · ${item.source}`;
  return make("li", {}, make("p", { className: "quiet", textContent: head }), make("p", { className: "quiet", textContent: item.input ? `${word("input")}: ${short(item.input)}` : "" }), text, drop);
}
async function forget(wish) {
  clearAlert();
  try {
    const preview = await ask("POST", "/history/forget", { ...wish, preview: true });
    $("sure-text").textContent = wish.item === undefined ? word("sureMany", preview) : word("sureOne");
    $("sure").returnValue = "no";
    $("sure").showModal();
    await new Promise((done) => $("sure").addEventListener("close", done, { once: true }));
    if ($("sure").returnValue !== "yes") return;
    const gone = await ask("POST", "/history/forget", wish);
    $("imported").textContent = word("gone", gone);
    await refresh();
  } catch (error) { fail(error); }
}
$("search").addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
$("forget").addEventListener("submit", (event) => { event.preventDefault(); if ($("before").value) forget({ before: `${$("before").value}T00:00:00Z` }); });
$("forget-all").addEventListener("click", () => forget({ everything: true }));
$("export").addEventListener("click", async (event) => {
  event.preventDefault();
  try {
    const data = await (await ask("GET", "/history/export?everything=true", undefined, { whole: true })).blob();
    const link = make("a", { href: URL.createObjectURL(data), download: "history.jsonl" });
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) { fail(error); }
});
// Learned
async function showLearned() {
  clearAlert();
  try {
    const found = await ask("GET", "/learned");
    $("learned-words").textContent = found.evidence
      ? word("learnedWords", { evidence: found.evidence, trust: `${Math.round(found.trust * 100)} %`, rho: found.record.rho.toFixed(2) })
      : word("needsSome");
    const checks = await ask("GET", "/doctor");
    $("checks").replaceChildren(...checks.map((one) => make("li", { textContent: `${one.name}: ${one.detail}${one.cure ? ` — ${one.cure}` : ""}` })));
  } catch (error) { fail(error); }
}
$("adapt").addEventListener("click", async () => {
  clearAlert();
  adapting = new AbortController();
  $("adapt").disabled = true;
  $("adapt-stop").disabled = false;
  try {
    const response = await ask("POST", "/adapt", {}, { whole: true, signal: adapting.signal });
    for await (const event of messages(response)) {
      if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
      if (event.type === "progress") $("adapt-status").textContent = word("adapting", { n: event.calibrated + event.renewed });
      if (event.type === "adapted") $("adapt-status").textContent = word("adapted", { n: event.calibrated, left: event.left });
    }
  } catch (error) {
    if (error.name === "AbortError") $("adapt-status").textContent = word("stopped");
    else fail(error);
  } finally {
    adapting = null;
    $("adapt").disabled = false;
    $("adapt-stop").disabled = true;
    showLearned();
  }
});
$("adapt-stop").addEventListener("click", () => adapting?.abort());

async function begin(otherPerson = false) {
  translate();
  $("language").value = tongue;
  if (!token) { showKey(); return; }
  try {
    const info = await ask("GET", "/info");
    sessionStorage.setItem("edge-ttp-token", token);
    if (!otherPerson) document.dispatchEvent(new Event("opened"));
    $("version").textContent = `edge-ttp ${info.version} · ${person ? `${info.user}/${person}` : info.user}`;
    if (!otherPerson) $("prompt").focus();
    const counts = await ask("GET", "/history/stats");
    $("kinds").replaceChildren(...Object.keys(counts.kinds).map((kind) => make("option", { value: kind })));
  } catch (error) { fail(error); }
}
begin();
