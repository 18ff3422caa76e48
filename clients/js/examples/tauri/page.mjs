// The window: it drafts, stops, and says what was sent. The server is started when it is first needed.

import { draft, sent, start } from "./drafts.mjs";

const at = (id) => document.getElementById(id);
let server = null; // a promise of the server
let control = null; // ends the draft under way
let made = null; // the last whole draft

async function client() {
  server ??= start();
  try {
    return (await server).client;
  } catch (error) {
    server = null; // another try starts it anew
    throw error;
  }
}

/** Runs what a button asks for, and shows what went wrong. */
async function trying(work) {
  at("said").textContent = "";
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") at("said").textContent = error.message;
  }
}

at("draft").onclick = () =>
  trying(async () => {
    control?.abort();
    control = new AbortController();
    made = null;
    made = await draft(await client(), at("prompt").value, (text) => (at("answer").value = text), control.signal);
    at("answer").value = made.text;
  });
at("cancel").onclick = () => control?.abort();
at("send").onclick = () => trying(async () => made && (await sent(await client(), made, at("answer").value)));
addEventListener("beforeunload", () => server?.then((one) => one.end()));
