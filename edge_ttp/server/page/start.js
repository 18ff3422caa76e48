"use strict";
// The first start: a model, somebody's own texts, a first answer. Each step says how far it is and can be stopped.
let pulling = null, taking = null, startState = null;

async function followEvents(path, body, signal, hear) {
  const response = await ask("POST", path, body, { whole: true, signal });
  for await (const event of messages(response)) {
    if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
    hear(event);
  }
}
const megabytes = (bytes) => Math.round(bytes / 1e6);

async function showStart(force) {
  let found;
  try { found = await ask("GET", "/start"); } catch { return; } // another token than the owner's: nothing to set up
  startState = found;
  $("setup").hidden = false;
  const first = !found.ready || (found.items === 0 && localStorage.getItem("edge-ttp-started") === null);
  if (!first && !force && $("start").hidden) return;
  for (const tab of document.querySelectorAll('[role="tab"]')) $(tab.getAttribute("aria-controls")).hidden = true;
  $("start").hidden = false;
  showModels(found);
  showPlaces(found.places);
  boardHere();
  stepsDone();
  (found.ready ? $("start-drop") : $("use-model")).focus();
}
function stepsDone() {
  $("step-model").classList.toggle("done", startState.ready);
  $("step-import").classList.toggle("done", startState.items > 0);
  $("start-done").disabled = !startState.ready;
  $("start-left").textContent = !startState.ready ? word("needModel") : startState.items ? word("haveTexts", { items: startState.items }) : word("noTexts");
}
// The one in use first, then what suits this device; the others are there, folded away.
function showModels(found) {
  const usual = found.policy.split(":")[0];
  const line = (one) => {
    const radio = make("input", { type: "radio", name: "model", value: one.name, checked: one.name === usual });
    const size = one.here ? word("here") : one.along ? word("along") : word("fetch", { mb: megabytes(one.size) });
    const says = [size, one.licence, one.fits ? "" : one.reason].filter(Boolean).join(" · ");
    const about = make("span", { className: one.fits ? "" : "unfit" }, make("strong", { textContent: one.name }), ` ${one.description} `, make("span", { className: "quiet", textContent: `(${says})` }));
    return make("label", {}, radio, about);
  };
  const rank = (one) => (one.name === usual ? 0 : one.here ? 1 : 2);
  const fitting = found.models.filter((one) => one.fits || one.here || one.name === usual).sort((a, b) => rank(a) - rank(b));
  const others = found.models.filter((one) => !fitting.includes(one));
  const folded = make("details", {}, make("summary", { textContent: word("otherModels", { n: others.length }) }), ...others.map(line));
  $("models").replaceChildren(...fitting.map(line), ...(others.length ? [folded] : []));
}
$("use-model").addEventListener("click", async () => {
  clearAlert();
  const name = document.querySelector('input[name="model"]:checked')?.value;
  if (!name) return;
  pulling = new AbortController();
  $("use-model").disabled = true;
  $("model-stop").hidden = false;
  $("model-progress").hidden = false;
  $("model-progress").removeAttribute("value");
  $("model-status").textContent = word("turning");
  try {
    await followEvents("/start/model", { name }, pulling.signal, (event) => {
      if (event.type === "progress" && event.total) {
        $("model-progress").max = event.total;
        $("model-progress").value = event.done;
        $("model-status").textContent = event.done < event.total
          ? word("fetching", { name, done: megabytes(event.done), total: megabytes(event.total) }) : word("preparing", { name });
      } else if (event.type === "chosen") {
        $("model-status").textContent = word("ready", { name: event.name });
        startState.ready = true;
        startState.policy = event.name;
      }
    });
    const found = await ask("GET", "/start");
    startState = found;
    showModels(found);
    stepsDone();
    if ([document.body, $("use-model")].includes(document.activeElement)) $("start-drop").focus(); // nobody has gone on meanwhile
  } catch (error) {
    $("model-status").textContent = error.name === "AbortError" ? word("stopped") : "";
    fail(error);
  } finally {
    pulling = null;
    $("use-model").disabled = false;
    $("model-stop").hidden = true;
    $("model-progress").hidden = true;
  }
});
$("model-stop").addEventListener("click", () => pulling?.abort());

// Texts: dropped files go over the connection, paths are read where they lie
const SORTS = { mail: "foundMail", conversations: "foundConversations", notes: "foundNotes", git: "foundGit" };
function showPlaces(places) {
  $("places").replaceChildren(...places.map((one) => {
    const button = make("button", { type: "button", textContent: word("takeIn") });
    button.setAttribute("aria-label", `${word("takeIn")}: ${one.path}`);
    button.addEventListener("click", () => takePath(one.path, one.git));
    return make("li", {}, make("span", {}, `${word(SORTS[one.sort])}: `, make("code", { textContent: one.path })), button);
  }));
}
// How far an import is, and what became of each, stands below the place where files are dropped, whichever is shown.
function boardHere() { ($("start").hidden ? $("drop") : $("start-drop")).after($("import-board")); }
const SHOWN_NAME = 60;
const shownName = (path) => { const name = path.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1) || path; return name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME)}…` : name; };
async function taken(path, work) {
  const name = shownName(path);
  boardHere();
  const mine = taking = new AbortController();
  $("import-stop").hidden = false;
  $("import-progress").hidden = false;
  $("import-progress").removeAttribute("value");
  $("import-status").textContent = word("reading", { name });
  const hear = (event) => {
    if (event.type === "progress") $("import-status").textContent = word("readingOf", { name, done: Math.round(event.done).toLocaleString(tongue) });
    if (event.type === "imported") showTaken(name, event);
  };
  try {
    await work(mine.signal, hear);
    $("import-status").textContent = "";
  } catch (error) {
    $("import-status").textContent = error.name === "AbortError" ? word("stopped") : "";
    const said = error.cure ? `${name}: ${error.message}; ${error.cure}` : `${name}: ${error.message}`;
    if (error.name !== "AbortError") $("takes").prepend(make("li", { className: "failed", textContent: said }));
  } finally {
    if (taking === mine) {
      taking = null;
      $("import-stop").hidden = true;
      $("import-progress").hidden = true;
    }
    await countTexts();
  }
  return !mine.signal.aborted;
}
async function countTexts() {
  const found = await ask("GET", "/history/stats").catch(() => null);
  if (startState && found) { startState.items = found.items; stepsDone(); }
  if (!$("history").hidden) refresh();
}
function showTaken(name, report) {
  const why = Object.entries(report.skipped ?? {}).map(([reason, count]) => `${count} ${reason}`).join(", ");
  const said = [
    word("tookIn", { ...report, name }), report.duplicates ? word("thereAlready", report) : "", report.bad ? word("unreadable", report) : "",
    why ? word("skippedWords", { why }) : "", ...(report.remarks ?? []),
  ].filter(Boolean).join(" ");
  const line = make("li", {}, make("span", { textContent: `${said} ` }));
  $("takes").prepend(line);
  if (report.id === null || report.id === undefined) return;
  const undo = make("button", { type: "button", textContent: word("undo") });
  undo.setAttribute("aria-label", `${word("undo")}: ${name}`);
  undo.addEventListener("click", async () => {
    undo.disabled = true;
    try {
      const gone = await ask("DELETE", `/history/imports/${report.id}`);
      line.replaceChildren(word("undone", { ...gone, name }));
      await countTexts();
    } catch (error) { fail(error); }
  });
  line.append(undo);
}
// One after the other, those that come while others are read behind them; Stop ends them all.
let inLine = Promise.resolve();
function takeAll(works) {
  clearAlert();
  inLine = inLine.then(async () => { for (const work of works) if (!(await work())) return; });
  return inLine;
}
const readPath = (path, git) => () => taken(path, (signal, hear) => {
  const author = $("author").value.trim();
  return followEvents("/start/import", { path, git, authors: author ? [author] : [] }, signal, hear);
});
const readFile = (file) => () => taken(file.name, async (signal, hear) => {
  const response = await ask("POST", `/history/import?${new URLSearchParams({ name: file.name, stream: "true" })}`, file, { raw: true, whole: true, signal });
  for await (const event of messages(response)) {
    if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
    hear(event);
  }
});
const takePath = (path, git = false) => takeAll([readPath(path, git)]);
const takeFiles = (files) => takeAll([...files].map(readFile));
// The window hands over the paths of what was dropped on it, folders too; a browser has files only.
window.droppedPaths = (paths) => {
  draggedOver(false);
  if ($("start").hidden) choose($("tab-history"));
  return takeAll(paths.map(({ path, git }) => readPath(path, git)));
};
// Told by the window as well, since it takes the drag before the page sees it.
window.draggedOver = (over) => { for (const name of ["start-drop", "drop"]) $(name).classList.toggle("over", over); };
for (const [zone, files] of [["start-drop", "start-files"], ["drop", "files"]]) {
  $(zone).addEventListener("click", () => $(files).click());
  $(zone).addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); $(files).click(); } });
  $(files).addEventListener("click", (event) => event.stopPropagation());
  $(files).addEventListener("change", () => { takeFiles($(files).files); $(files).value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    $(zone).addEventListener(kind, (event) => {
      event.preventDefault();
      draggedOver(kind === "dragover");
      if (kind === "drop") takeFiles(event.dataTransfer.files);
    });
  }
}
$("path-import").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = $("path").value.trim();
  if (path) takePath(path, /\/\.git\/?$/.test(path));
});
$("setup").addEventListener("click", () => showStart(true));
$("browse").hidden = !inWindow;
$("browse").addEventListener("click", () => {
  const path = window.prompt("edge-ttp:choose-folder", $("path").value);
  if (path) { $("path").value = path; takePath(path); }
});
$("import-stop").addEventListener("click", () => taking?.abort());
$("start-done").addEventListener("click", () => {
  remember("edge-ttp-started", "yes");
  $("start").hidden = true;
  choose($("tab-write"));
  $("prompt").focus();
});
for (const tab of document.querySelectorAll('[role="tab"]')) tab.addEventListener("chosen", () => { $("start").hidden = true; });
document.addEventListener("opened", () => showStart());
