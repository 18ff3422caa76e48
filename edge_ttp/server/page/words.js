"use strict";
// The page's words. English stands in the page itself too, for whoever has no script yet.
const WORDS = {
  en: {
    skip: "Skip to the content", parts: "Parts", write: "Write", history: "My writing", learned: "Learned", language: "Language",
    keyTitle: "Token needed", keyWhy: "Other people on this machine reach this page too. Paste what `edge-ttp tokens show` prints.", token: "Token", open: "Open",
    prompt: "What should be answered?", more: "Document, kind, number of candidates", context: "A document for this answer (shown to the model, not kept as your writing)",
    task: "What to do", taskAnswer: "Answer a text", taskRewrite: "Say a text my way", promptRewrite: "What should be said your way?", asNotes: "It is notes: make sentences of them",
    factsKept: "Every number, name and date is as it was.", factsMissing: "Lost on the way: {list}.", factsAdded: "Not in your text: {list}.",
    kind: "Kind", candidates: "Candidates", mode: "Mode", fast: "fast", balanced: "balanced", best: "best", deadline: "Seconds at most",
    go: "Write it", stop: "Stop", yours: "Your answer", edit: "Change it until it is yours", send: "This is what I send", copy: "Copy", reject: "Not me", retract: "Take that back",
    pool: "Candidates", recalled: "What you wrote to something similar", plan: "Why so many candidates", dropLabel: "Import files",
    drop: "Drop files here, or click to choose them: mails (mbox, eml), ChatGPT or Claude exports, JSON lines, CSV, notes.",
    search: "Search", find: "Find", forgetTitle: "Forget", before: "Everything older than", forgetBefore: "Forget these", forgetAll: "Forget everything", export: "Save all of it as JSON lines",
    keep: "Keep it", forgetNow: "Forget it", learnedTitle: "What was learned of you", adapt: "Learn from my writing now", health: "This installation", private: "Nothing leaves this machine.",
    working: "Writing…", waiting: "Waiting for {n} before you…", planned: "{n} candidates", progressOf: "{done} of {n} finished", done: "Done in {s} s", stopped: "Stopped.",
    expected: "expected {mean} ± {sd}", notScored: "not scored", chosen: "chosen", prefer: "This one", use: "Preferred.", accepted: "Kept as yours: it will be recalled.", edited: "Kept as you changed it.",
    rejected: "Noted: not you.", copied: "Copied.", taken: "Taken back.", nothingRecalled: "Nothing similar yet: answers are not personal. Import your writing first.",
    planWords: "Solid, left: expected gain; dashed, right: seconds. {n} are worth their time ({why}).", counts: "{items} texts ({kinds}), {generations} answers kept", none: "none", nothing: "Nothing yet.", forgetOne: "Forget",
    sureOne: "Forget this text, and every answer that holds it?", sureMany: "{items} texts and {generations} answers would go, for good.", gone: "{items} texts and {generations} answers are gone.",
    needsSome: "Too little is known yet: the reward model judges you like anybody.",
    learnedWords: "From {evidence} of your texts and judgments. Your own taste counts {trust} of the whole. Scores and what you wrote agree with a correlation of {rho}.",
    adapting: "{n} texts used…", adapted: "{n} texts used, {left} left.", lost: "The server does not answer. Is it still running?", input: "to",
  },
  de: {
    skip: "Zum Inhalt", parts: "Teile", write: "Schreiben", history: "Meine Texte", learned: "Gelernt", language: "Sprache",
    keyTitle: "Schlüssel nötig", keyWhy: "Auch andere auf diesem Rechner erreichen diese Seite. Fügen Sie ein, was `edge-ttp tokens show` ausgibt.", token: "Schlüssel", open: "Öffnen",
    prompt: "Worauf soll geantwortet werden?", more: "Dokument, Art, Zahl der Kandidaten", context: "Ein Dokument zu dieser Antwort (das Modell sieht es, es wird nicht als Ihr Text behalten)",
    task: "Was zu tun ist", taskAnswer: "Auf einen Text antworten", taskRewrite: "Einen Text mit meinen Worten", promptRewrite: "Was soll mit Ihren Worten gesagt werden?", asNotes: "Es sind Notizen: mach Sätze daraus",
    factsKept: "Alle Zahlen, Namen und Daten sind geblieben.", factsMissing: "Unterwegs verloren: {list}.", factsAdded: "Nicht in Ihrem Text: {list}.",
    kind: "Art", candidates: "Kandidaten", mode: "Modus", fast: "schnell", balanced: "ausgewogen", best: "gründlich", deadline: "Höchstens Sekunden",
    go: "Schreiben", stop: "Anhalten", yours: "Ihre Antwort", edit: "Ändern Sie, bis es Ihres ist", send: "Das schicke ich", copy: "Kopieren", reject: "Nicht ich", retract: "Zurücknehmen",
    pool: "Kandidaten", recalled: "Was Sie auf Ähnliches schrieben", plan: "Warum so viele Kandidaten", dropLabel: "Dateien einlesen",
    drop: "Dateien hier ablegen oder klicken, um sie zu wählen: Mails (mbox, eml), Exporte von ChatGPT oder Claude, JSON-Zeilen, CSV, Notizen.",
    search: "Suchen", find: "Finden", forgetTitle: "Vergessen", before: "Alles, was älter ist als", forgetBefore: "Diese vergessen", forgetAll: "Alles vergessen", export: "Alles als JSON-Zeilen sichern",
    keep: "Behalten", forgetNow: "Vergessen", learnedTitle: "Was über Sie gelernt wurde", adapt: "Jetzt aus meinen Texten lernen", health: "Diese Installation", private: "Nichts verlässt diesen Rechner.",
    working: "Schreibt…", waiting: "Wartet auf {n} davor…", planned: "{n} Kandidaten", progressOf: "{done} von {n} fertig", done: "Fertig in {s} s", stopped: "Angehalten.",
    expected: "erwartet {mean} ± {sd}", notScored: "nicht bewertet", chosen: "gewählt", prefer: "Dieser", use: "Bevorzugt.", accepted: "Als Ihres behalten: es wird wieder herangezogen.", edited: "So behalten, wie Sie es änderten.",
    rejected: "Vermerkt: nicht Sie.", copied: "Kopiert.", taken: "Zurückgenommen.", nothingRecalled: "Noch nichts Ähnliches: Antworten sind nicht persönlich. Lesen Sie zuerst Ihre Texte ein.",
    planWords: "Durchgezogen, links: erwarteter Gewinn; gestrichelt, rechts: Sekunden. {n} sind ihre Zeit wert ({why}).", counts: "{items} Texte ({kinds}), {generations} Antworten behalten", none: "keine", nothing: "Noch nichts.", forgetOne: "Vergessen",
    sureOne: "Diesen Text vergessen, und jede Antwort, die ihn enthält?", sureMany: "{items} Texte und {generations} Antworten gingen für immer.", gone: "{items} Texte und {generations} Antworten sind weg.",
    needsSome: "Noch zu wenig bekannt: das Bewertungsmodell urteilt über Sie wie über alle.",
    learnedWords: "Aus {evidence} Ihrer Texte und Urteile. Ihr eigener Geschmack zählt {trust} vom Ganzen. Bewertung und was Sie schrieben stimmen mit einer Korrelation von {rho} überein.",
    adapting: "{n} Texte benutzt…", adapted: "{n} Texte benutzt, {left} übrig.", lost: "Der Server antwortet nicht. Läuft er noch?", input: "auf",
  },
};
let tongue = (localStorage.getItem("edge-ttp-language") || navigator.language || "en").startsWith("de") ? "de" : "en";
const word = (key, values = {}) => (WORDS[tongue][key] ?? WORDS.en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
function translate() {
  document.documentElement.lang = tongue;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
}
