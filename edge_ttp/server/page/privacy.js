"use strict";
// What is kept, for whom and how long; what forgetting would take; how somebody writes, in words.
async function showPrivacy() {
  clearAlert();
  try {
    const found = await ask("GET", "/privacy");
    const kinds = Object.entries(found.kinds).map(([kind, count]) => `${kind} ${count}`).join(", ");
    const judged = Object.entries(found.judgments).map(([kind, count]) => `${kind} ${count}`).join(", ");
    const size = { n: (found.bytes / 1e6).toFixed(1), mode: found.mode };
    const lines = [
      ["keptTexts", kinds ? `${found.items} (${kinds})` : `${found.items}`],
      ["keptAnswers", `${found.generations}`],
      ["keptJudgments", judged || word("none")],
      ["keptWhere", found.file],
      ["keptSize", found.mode.endsWith("00") ? word("onlyYou", size) : word("othersToo", size)],
      ["keptNetwork", word("keptNothing")],
    ];
    $("kept").replaceChildren(...lines.flatMap(([name, text]) => [make("dt", { textContent: word(name) }), make("dd", { textContent: text })]));
    const people = [...new Set([...found.people, person])];
    $("person").replaceChildren(...people.map((name) => make("option", { value: name, textContent: name || word("myself"), selected: name === person })));
    $("keep-answers").checked = keeping();
    $("days").value = found.retention_days ?? "";
    $("encryption").textContent = found.encrypted ? word("encryptedYes") : `${word("encryptedNo")}${inWindow ? "" : ` ${word("encryptByCommand")}`}`;
    $("encryption-actions").hidden = !inWindow;
    $("encrypt").hidden = found.encrypted;
    $("recovery").hidden = $("decrypt").hidden = !found.encrypted;
  } catch (error) { fail(error); }
}
async function showHabits() {
  try {
    const found = await ask("GET", "/habits");
    $("habits").replaceChildren(...(found.length ? found.map(habitLine) : [make("li", { textContent: word("noHabits") })]));
  } catch (error) { fail(error); }
}
function habitLine(one) {
  const share = word("shareOf", { n: Math.round(one.value * 100) });
  const line = make("li", { textContent: `${word(`habit_${one.name}`, { n: one.value, share, phrase: one.phrase })} ` });
  line.append(make("q", { textContent: one.example }));
  return line;
}
function setPerson(name) {
  person = name;
  remember("edge-ttp-person", name);
  answer = null;
  $("result").hidden = true;
  $("pool").hidden = true;
  $("recalled-part").hidden = true;
  $("plan-part").hidden = true;
  begin(true);
  showPrivacy();
}
$("person").addEventListener("change", () => setPerson($("person").value));
$("people-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("new-person").value.trim();
  $("new-person").value = "";
  if (name) setPerson(name);
});
$("keep-answers").addEventListener("change", () => {
  remember(`edge-ttp-forgetful:${person}`, $("keep-answers").checked ? null : "yes");
});
$("retention").addEventListener("submit", async (event) => {
  event.preventDefault();
  clearAlert();
  const days = $("days").value ? Number($("days").value) : null;
  try {
    const now = await ask("PUT", "/privacy/retention", { days });
    $("retention-status").textContent = word("retentionNow", { days: days ? word("forDays", { n: days }) : word("forEver"), deleted: now.deleted });
  } catch (error) { fail(error); }
});
// Encryption: the window has it done while the server is away, since nobody else may have the history open
function turnHistory(wish) {
  clearAlert();
  $("recovery-part").hidden = true;
  $("encryption-status").textContent = word("turning");
  for (const name of ["encrypt", "decrypt", "recovery"]) $(name).disabled = true;
  window.prompt("edge-ttp:history", wish);
}
window.historyTurned = async (done) => {
  $("recovery-key").textContent = done.recovery_key;
  $("recovery-part").hidden = !done.recovery_key;
  if (done.recovery_key) $("recovery-part").scrollIntoView({ block: "nearest" });
  while (!(await ask("GET", "/info").then(() => true, () => false))) await new Promise((go) => setTimeout(go, 300));
  for (const name of ["encrypt", "decrypt", "recovery"]) $(name).disabled = false;
  $("encryption-status").textContent = done.error ? word("unchanged") : done.wish === "encrypt" ? word("encryptedNow") : done.wish === "decrypt" ? word("decryptedNow") : "";
  await showPrivacy();
  if (done.error) fail({ message: done.error, cure: done.cure });
};
for (const [name, wish] of [["encrypt", "encrypt"], ["decrypt", "decrypt"], ["recovery", "recovery-key"]]) $(name).addEventListener("click", () => turnHistory(wish));
$("recovery-copy").addEventListener("click", async () => {
  const key = $("recovery-key").textContent;
  try { await navigator.clipboard.writeText(key); $("encryption-status").textContent = word("copied"); } catch { getSelection().selectAllChildren($("recovery-key")); }
});
$("recovery-kept").addEventListener("click", () => { $("recovery-part").hidden = true; $("recovery-key").textContent = ""; });
$("save-all").addEventListener("click", () => $("export").click());
$("forget-preview").addEventListener("click", async () => {
  clearAlert();
  try {
    const found = await ask("POST", "/privacy/preview", { everything: true });
    $("going-title").textContent = word("goingTitle", found);
    $("going-texts").replaceChildren(...[...found.texts, ...found.answers].map((text) => make("li", { textContent: text })));
    $("going").hidden = false;
    $("going-no").focus();
  } catch (error) { fail(error); }
});
$("going-no").addEventListener("click", () => { $("going").hidden = true; });
$("going-yes").addEventListener("click", async () => {
  try {
    const gone = await ask("POST", "/history/forget", { everything: true });
    $("going").hidden = true;
    await showPrivacy();
    $("privacy-status").textContent = word("gone", gone);
  } catch (error) { fail(error); }
});
$("tab-privacy").addEventListener("chosen", showPrivacy);
$("tab-learned").addEventListener("chosen", showHabits);
