// The main process: the page asks through IPC and never sees the token.

import { app, BrowserWindow, ipcMain } from "electron";
import { fileURLToPath } from "node:url";

import { Drafts } from "./drafts.mjs";

const drafts = new Drafts({ options: ["--idle-unload", "10m"] });

ipcMain.handle("draft", (event, prompt) =>
  drafts.draft(event.sender.id, String(prompt), (text) => event.sender.send("leading", text)),
);
ipcMain.on("cancel", (event) => drafts.cancel(event.sender.id));
ipcMain.handle("sent", (_event, draft, text) => drafts.sent(draft, String(text)));

let ended = false;
app.on("before-quit", async (event) => {
  if (ended) return;
  event.preventDefault(); // the server is given the time to keep what it was told
  await drafts.end().catch(() => undefined);
  ended = true;
  app.quit();
});

await app.whenReady();
const preload = fileURLToPath(new URL("preload.cjs", import.meta.url));
new BrowserWindow({ webPreferences: { preload } }).loadFile("index.html");
