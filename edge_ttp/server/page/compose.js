"use strict";
// Write like me: a text in, some answers out; what is copied in the end teaches.
let drawing = null, drawn = null, taken = 0;

function show(texts) {
  $("choices").replaceChildren(...texts.map((text, place) => {
    const button = make("button", { type: "button", textContent: text });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => pick(place));
    return make("li", {}, button);
  }));
}
// The choices, best first: the chosen one, then by what they were scored with; equal texts once.
function ranked(found) {
  const order = found.candidates.map((_, place) => place).filter((place) => found.candidates[place].text.trim());
  const score = (place) => found.candidates[place].score ?? found.candidates[place].mean ?? 0;
  order.sort((a, b) => (b === found.chosen) - (a === found.chosen) || score(b) - score(a));
  return order.filter((place, at) => order.findIndex((other) => found.candidates[other].text === found.candidates[place].text) === at);
}
function pick(at) {
  if (!drawn || at >= drawn.order.length) return;
  taken = drawn.order[at];
  [...$("choices").querySelectorAll("button")].forEach((button, place) => button.setAttribute("aria-pressed", String(place === at)));
  $("text").value = drawn.generation.candidates[taken].text;
}
async function write(rewriting) {
  clearAlert();
  const text = $("source").value.trim();
  if (!text) { $("compose-status").textContent = word("stillEmpty"); return; }
  drawing?.abort();
  const mine = drawing = new AbortController();
  drawn = null;
  $("compose-result").hidden = true;
  $("compose-stop").disabled = false;
  $("compose-progress").hidden = false;
  $("compose-progress").removeAttribute("value");
  $("compose-status").textContent = word("working");
  const n = Math.min(9, Math.max(1, Number($("compose-count").value) || 4));
  const body = { stream: true, n, store: keeping(), ...(rewriting ? { text } : { prompt: text }) };
  let done = 0;
  const began = performance.now();
  try {
    const response = await ask("POST", rewriting ? "/rewrite" : "/generate", body, { whole: true, signal: mine.signal });
    for await (const event of messages(response)) {
      if (event.error) throw Object.assign(new Error(event.error.message), { cure: event.error.cure });
      if (event.type === "finished" || event.type === "dropped") {
        done += 1;
        $("compose-progress").max = Math.max(n, done);
        $("compose-progress").value = done;
        $("compose-status").textContent = word("progressOf", { done, n: Math.max(n, done) });
      } else if (event.generation) drawn = { generation: event.generation, order: ranked(event.generation) };
    }
    if (!drawn) return;
    $("compose-status").textContent = word("done", { s: ((performance.now() - began) / 1000).toFixed(1) });
    $("compose-result").hidden = false;
    show(drawn.order.map((place) => drawn.generation.candidates[place].text));
    pick(0);
    $("text").focus();
  } catch (error) {
    $("compose-status").textContent = error.name === "AbortError" ? word("stopped") : "";
    fail(error);
  } finally {
    if (drawing === mine) {
      drawing = null;
      $("compose-stop").disabled = true;
      $("compose-progress").hidden = true;
    }
  }
}
// What was done with it: as drawn and chosen, another one, or changed. An edit says most, so it is told as such.
function judgment(text) {
  const { generation } = drawn;
  if (text === generation.text) return { kind: "accept" };
  if (text === generation.candidates[taken].text) return { kind: "prefer", candidate: taken };
  return { kind: "edit", text };
}
async function copy(teach) {
  if (!drawn) return;
  clearAlert();
  const text = $("text").value;
  try {
    if (teach && drawn.generation.stored && text.trim()) await ask("POST", `/generations/${drawn.generation.generation_id}/feedback`, judgment(text));
    $("compose-status").textContent = word(teach ? "copiedLearned" : "copied");
  } catch (error) { fail(error); }
  if (inWindow) { window.prompt("edge-ttp:copy", text); return; }
  try { await navigator.clipboard.writeText(text); } catch { $("text").select(); document.execCommand("copy"); }
}
// Called by the window with what lay on the clipboard.
window.composeText = (text) => { $("source").value = text; $("source").focus(); if (text.trim()) write(false); };

$("compose-form").addEventListener("submit", (event) => { event.preventDefault(); write(false); });
$("compose-say").addEventListener("click", () => write(true));
$("compose-stop").addEventListener("click", () => drawing?.abort());
$("compose-copy").addEventListener("click", () => copy(true));
$("compose-copy-only").addEventListener("click", () => copy(false));
$("compose-reject").addEventListener("click", async () => {
  try {
    if (drawn?.generation.stored) await ask("POST", `/generations/${drawn.generation.generation_id}/feedback`, { kind: "reject" });
    $("compose-status").textContent = word("rejected");
  } catch (error) { fail(error); }
});
$("compose-paste").addEventListener("click", async () => {
  const text = inWindow ? window.prompt("edge-ttp:paste", "") : await navigator.clipboard.readText().catch(() => "");
  if (text) $("source").value = text;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { if (drawing) drawing.abort(); else if (inWindow) window.prompt("edge-ttp:close", ""); }
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); write(false); }
  else if (event.altKey && /^Digit[1-9]$/.test(event.code)) { event.preventDefault(); pick(Number(event.code.slice(5)) - 1); }
  else if (event.ctrlKey && event.shiftKey && event.code === "KeyC") { event.preventDefault(); copy(true); }
});
function showKey() { $("key").hidden = false; $("token").focus(); }
$("key").addEventListener("submit", (event) => { event.preventDefault(); token = $("token").value.trim(); $("key").hidden = true; begin(); });
async function begin() {
  translate();
  document.title = word("compose");
  if (!token) { showKey(); return; }
  try {
    await ask("GET", "/info");
    sessionStorage.setItem("edge-ttp-token", token);
    const text = given.get("text");
    if (text) window.composeText(text);
    else $("source").focus();
  } catch (error) { fail(error); }
}
begin();
