// The examples run against the real server; only Electron and Tauri's plugin are doubles (test/doubles).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire, register } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

import { attach } from "../dist/sidecar.js";

const command = JSON.parse(process.env.EDGE_TTP_COMMAND);
const at = (name) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const PROMPT = "The meeting moves to Friday.";

register("./doubles/resolve.mjs", import.meta.url);

// The program `edge-ttp` that the examples find on the PATH.
const folder = mkdtempSync(join(tmpdir(), "edge-ttp-path-"));
writeFileSync(join(folder, "edge-ttp"), `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(" ")} "$@"\n`);
chmodSync(join(folder, "edge-ttp"), 0o755);
process.env.PATH = folder + delimiter + process.env.PATH;

/** The elements of a page, each as far as the scripts use it. */
function elements() {
  const made = {};
  return { made, getElementById: (id) => (made[id] ??= { value: "", textContent: "" }) };
}

function named(document) {
  return Object.fromEntries(["prompt", "draft", "cancel", "answer", "send"].map((id) => [id, document.getElementById(id)]));
}

async function until(true_, what) {
  for (let wait = 0; wait < 1200; wait += 1) {
    if (await true_()) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  assert.fail(what);
}

test("the Electron example: its page drafts, stops and sends through IPC, and the server ends with the app", async () => {
  const electron = await import("electron");
  await import("../examples/electron/main.mjs");
  const [window] = electron.BrowserWindow.opened;
  assert.equal(window.file, "index.html");
  vm.runInNewContext(readFileSync(window.options.webPreferences.preload, "utf8"), {
    require: (name) => (name === "electron" ? electron : createRequire(import.meta.url)(name)),
  });
  const document = elements();
  vm.runInNewContext(readFileSync(at("electron/page.js"), "utf8"), { document, ...electron.world });
  const { prompt, draft, cancel, answer, send } = named(document);

  prompt.value = PROMPT;
  await draft.onclick();
  assert.ok(answer.value);
  answer.value = "friday then, from the electron page";
  await send.onclick();
  const client = await attach();
  assert.ok(client, "the server is found");
  await until(() => known(client, "electron page"), "what was sent is learned from");

  prompt.value = "Tell me of the sea.";
  const late = draft.onclick();
  setTimeout(() => cancel.onclick(), 30);
  await late;
  await send.onclick(); // nothing was drafted, so nothing is sent

  const quit = new Promise((resolve) => electron.app.once("quit", resolve));
  electron.app.quit();
  await quit;
  assert.equal(await attach(), null);
});

test("the Tauri example: its page drafts, stops and sends as a page of another origin, and ends the server", async () => {
  const document = elements();
  const listeners = {};
  globalThis.document = document;
  globalThis.addEventListener = (name, work) => (listeners[name] = work);
  const plain = globalThis.fetch;
  globalThis.fetch = asPage(plain, "tauri://localhost");
  try {
    await import("../examples/tauri/page.mjs");
    const { prompt, draft, cancel, answer, send } = named(document);
    prompt.value = PROMPT;
    await draft.onclick();
    assert.equal(document.made.said.textContent, "");
    assert.ok(answer.value);
    answer.value = "friday then, from the tauri page";
    await send.onclick();
    const client = await attach();
    assert.ok(await known(client, "tauri page"));

    prompt.value = "Tell me of the sea.";
    const late = draft.onclick();
    setTimeout(() => cancel.onclick(), 30);
    await late;
    assert.equal(document.made.said.textContent, "");
    listeners.beforeunload();
    await until(async () => (await attach()) === null, "the server ends");
  } finally {
    globalThis.fetch = plain;
  }
});

/** Whether the history has a text with these words. */
async function known(client, words) {
  const { token } = JSON.parse(readFileSync(join(process.env.EDGE_TTP_HOME, "run", "server.json"), "utf8"));
  const asked = `${client.url}/ttp/v1/history/search?${new URLSearchParams({ q: words })}`;
  const found = await globalThis.fetch(asked, { headers: { authorization: `Bearer ${token}` } });
  return (await found.json()).length > 0;
}

/** A fetch that asks first where a page of another origin would have to (CORS), and reads only what it may. */
function asPage(plain, origin) {
  return async (address, options = {}) => {
    const headers = { ...options.headers, origin };
    const wanted = Object.keys(options.headers ?? {}).join(", ");
    if (wanted) {
      const asked = { origin, "access-control-request-method": options.method ?? "GET", "access-control-request-headers": wanted };
      const preflight = await plain(address, { method: "OPTIONS", headers: asked });
      assert.ok(preflight.ok, `preflight of ${address}: ${preflight.status}`);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.equal(preflight.headers.get("access-control-allow-headers"), wanted);
    }
    const answer = await plain(address, { ...options, headers });
    assert.equal(answer.headers.get("access-control-allow-origin"), origin);
    return answer;
  };
}

test("the Tauri example's permissions allow what its page starts", () => {
  const page = readFileSync(at("tauri/drafts.mjs"), "utf8");
  const written = page.match(/ARGUMENTS = (\[[^\]]*\])/)[1].replace(/,\s*\]/, "]");
  const { permissions } = JSON.parse(readFileSync(at("tauri/capabilities.json"), "utf8"));
  const [allowed] = permissions.find((one) => one.identifier === "shell:allow-spawn").allow;
  assert.deepEqual(JSON.parse(written), allowed.args);
  const { bundle } = JSON.parse(readFileSync(at("tauri/tauri.conf.json"), "utf8"));
  assert.deepEqual(bundle.externalBin, [allowed.name]);
});

test("the Tauri configuration is one by Tauri's own schema", async () => {
  const require = createRequire(at("tauri/package.json"));
  const schema = JSON.parse(readFileSync(require.resolve("@tauri-apps/cli/config.schema.json"), "utf8"));
  const { default: Ajv } = await import("ajv");
  const fits = new Ajv({ strict: false, unicodeRegExp: false, validateFormats: false }).compile(schema);
  assert.ok(fits(JSON.parse(readFileSync(at("tauri/tauri.conf.json"), "utf8"))), JSON.stringify(fits.errors));
});

test("the examples fit the types of Electron, of Tauri's plugin and of the client", () => {
  const compiler = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
  execFileSync(process.execPath, [compiler, "-p", at("tsconfig.json")], { stdio: "pipe", encoding: "utf8" });
});
