"use strict";
// How the pages talk to their server: one request, a stream of events, an error in one place. No text becomes HTML.
const $ = (id) => document.getElementById(id);
const API = "/ttp/v1";
const given = new URLSearchParams(location.hash.slice(1)); // what stood in the address: it stays in no history of addresses
let token = given.get("token") || sessionStorage.getItem("edge-ttp-token") || "";
if (location.hash.length > 1) window.history.replaceState(null, "", location.pathname);
let person = localStorage.getItem("edge-ttp-person") || ""; // a sub-user; empty: the token's own
const keeping = () => localStorage.getItem(`edge-ttp-forgetful:${person}`) === null; // whether answers are kept for that person
const inWindow = navigator.userAgent.includes("EdgeTTPWindow"); // the desktop app: it answers some prompts itself
// What the page remembers (language, person, whose answers are kept). The window's server has another address at every
// start, and with it a browser engine forgets: the window keeps it and hands it back.
function remember(key, value) {
  if (value === null) localStorage.removeItem(key);
  else localStorage.setItem(key, value);
  if (inWindow) window.prompt("edge-ttp:remember", JSON.stringify(Object.fromEntries(Object.entries(localStorage).filter(([name]) => name.startsWith("edge-ttp-")))));
}

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
function fail(error) {
  const box = $("alert");
  if (error.name === "AbortError") return;
  box.textContent = error.cure ? `${error.message}; ${error.cure}` : error.message || word("lost");
  box.hidden = false;
}
const clearAlert = () => { $("alert").hidden = true; };

function address(path) {
  if (!person || path === "/info") return API + path;
  return `${API}${path}${path.includes("?") ? "&" : "?"}user=${encodeURIComponent(person)}`;
}
async function ask(method, path, body, options = {}) {
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined && !options.raw) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path), { method, headers, body: options.raw ? body : body === undefined ? undefined : JSON.stringify(body), signal: options.signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(word("lost"));
  }
  if (response.ok) return options.whole ? response : response.json();
  const detail = await response.json().then((found) => found.error, () => ({ message: `${response.status}`, cure: "" }));
  if (response.status === 401) showKey();
  throw Object.assign(new Error(detail.message), { cure: detail.cure });
}

async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const data = rest.slice(0, end).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      rest = rest.slice(end + 2);
      if (data) yield JSON.parse(data);
    }
  }
}
