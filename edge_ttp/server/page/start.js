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
  const first = !found.ready || (found.items === 0 && localStorage.getItem("edge-ttp-started") === null);
  if (!first && !force && $("start").hidden) return;
  $("start").hidden = false;
  $("write").hidden = true;
  showModels(found);
  showPlaces(found.places);
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
  $("model-status").textContent = word("working");
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
    stepsDone();
    $("start-drop").focus();
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
async function taken(name, work) {
  clearAlert();
  taking?.abort();
  const mine = taking = new AbortController();
  $("import-stop").hidden = false;
  $("import-progress").hidden = false;
  $("import-progress").removeAttribute("value");
  $("import-status").textContent = word("reading", { name });
  const hear = (event) => {
    if (event.type === "progress") $("import-status").textContent = word("readingOf", { name, done: Math.round(event.done).toLocaleString(tongue) });
    if (event.type === "imported") showTaken(event);
  };
  try {
    await work(mine.signal, hear);
  } catch (error) {
    $("import-status").textContent = error.name === "AbortError" ? word("stopped") : "";
    fail(error);
  } finally {
    if (taking === mine) {
      taking = null;
      $("import-stop").hidden = true;
      $("import-progress").hidden = true;
    }
    startState.items = (await ask("GET", "/history/stats").catch(() => ({ items: startState.items }))).items;
    stepsDone();
  }
}
function showTaken(report) {
  const why = Object.entries(report.skipped ?? {}).map(([reason, count]) => `${count} ${reason}`).join(", ");
  const said = [word("tookIn", report), why ? word("skippedWords", { why }) : "", ...(report.remarks ?? [])].filter(Boolean).join(" ");
  const status = make("span", { textContent: `${said} ` });
  $("import-status").replaceChildren(status);
  if (report.id === null || report.id === undefined) return;
  const undo = make("button", { type: "button", textContent: word("undo") });
  undo.addEventListener("click", async () => {
    try {
      const gone = await ask("DELETE", `/history/imports/${report.id}`);
      $("import-status").textContent = word("undone", gone);
      startState.items = Math.max(0, startState.items - gone.items);
      stepsDone();
    } catch (error) { fail(error); }
  });
  $("import-status").append(undo);
}
const takePath = (path, git = false) => taken(path, (signal, hear) => {
  const author = $("author").value.trim();
  return followEvents("/start/import", { path, git, authors: author ? [author] : [] }, signal, hear);
});
const takeFiles = async (files) => {
  for (const file of files) {
    await taken(file.name, async (signal, hear) => {
      const response = await ask("POST", `/history/import?${new URLSearchParams({ name: file.name, stream: "true" })}`, file, { raw: true, whole: true, signal });
      for await (const event of messages(response)) {
        if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
        hear(event);
      }
    });
  }
  $("start-files").value = "";
};
// The window hands over the paths of what was dropped on it, folders too; a browser has files only.
window.droppedPaths = async (paths) => {
  if ($("start").hidden) choose($("tab-history"));
  for (const { path, git } of paths) await takePath(path, git);
  if ($("start").hidden) { $("imported").textContent = $("import-status").textContent; refresh(); }
};
const landing = $("start-drop");
landing.addEventListener("click", () => $("start-files").click());
landing.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); $("start-files").click(); } });
$("start-files").addEventListener("change", () => takeFiles([...$("start-files").files]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  landing.addEventListener(kind, (event) => {
    event.preventDefault();
    landing.classList.toggle("over", kind === "dragover");
    if (kind === "drop") takeFiles([...event.dataTransfer.files]);
  });
}
$("path-import").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = $("path").value.trim();
  if (path) takePath(path, /\/\.git\/?$/.test(path));
});
$("browse").hidden = !inWindow;
$("browse").addEventListener("click", () => {
  const path = window.prompt("edge-ttp:choose-folder", $("path").value);
  if (path) $("path").value = path;
});
$("import-stop").addEventListener("click", () => taking?.abort());
$("start-done").addEventListener("click", () => {
  localStorage.setItem("edge-ttp-started", "yes");
  $("start").hidden = true;
  choose($("tab-write"));
  $("prompt").focus();
});
for (const tab of document.querySelectorAll('[role="tab"]')) tab.addEventListener("chosen", () => { $("start").hidden = true; });
document.addEventListener("opened", () => showStart());
