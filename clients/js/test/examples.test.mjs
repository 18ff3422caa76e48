// The examples: the Electron one's drafts against the real server, the rest as far as it goes without Electron and Tauri.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Drafts } from "../examples/electron/drafts.mjs";

const command = JSON.parse(process.env.EDGE_TTP_COMMAND);
const at = (name) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

test("the Electron example drafts, cancels, learns, ends", async () => {
  const drafts = new Drafts({ command });
  const shown = [];
  const draft = await drafts.draft(1, "The meeting moves to Friday.", (text) => shown.push(text));
  assert.ok(draft.id);
  await drafts.sent(draft, draft.text || "fine");
  await drafts.sent(draft, "friday then");
  const late = drafts.draft(1, "Tell me of the sea.", () => undefined);
  setTimeout(() => drafts.cancel(1), 30);
  assert.equal(await late, null);
  await drafts.end();
});

test("the Tauri example's permissions allow what its page starts", () => {
  const page = readFileSync(at("tauri/drafts.mjs"), "utf8");
  const written = page.match(/ARGUMENTS = (\[[^\]]*\])/)[1].replace(/,\s*\]/, "]");
  const { permissions } = JSON.parse(readFileSync(at("tauri/capabilities.json"), "utf8"));
  const [allowed] = permissions.find((one) => one.identifier === "shell:allow-spawn").allow;
  assert.deepEqual(JSON.parse(written), allowed.args);
  const { bundle } = JSON.parse(readFileSync(at("tauri/tauri.conf.json"), "utf8"));
  assert.deepEqual(bundle.externalBin, [allowed.name]);
});

test("what needs Electron or Tauri can be parsed", () => {
  for (const name of ["electron/main.mjs", "electron/preload.cjs", "electron/page.js", "tauri/drafts.mjs"]) {
    execFileSync(process.execPath, ["--check", at(name)]);
  }
});
