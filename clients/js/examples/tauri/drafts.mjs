// The page of a Tauri app (plugin shell): it starts the sidecar of tauri.conf.json and talks to it by fetch.
// The two origins are Tauri's own: on macOS and Linux, and on Windows.

import { Command } from "@tauri-apps/plugin-shell";
import { Client } from "edge-ttp-client";

const ARGUMENTS = [
  "serve", "--port", "0", "--announce",
  "--allow-origin", "tauri://localhost", "--allow-origin", "http://tauri.localhost",
];

/** Starts the server. It ends with the app, or by `end`. */
export async function start() {
  const command = Command.sidecar("binaries/edge-ttp", ARGUMENTS);
  const announced = new Promise((resolve, reject) => {
    command.stdout.on("data", (line) => resolve(JSON.parse(line)));
    command.on("error", reject);
    command.on("close", ({ code }) => reject(new Error(`the server ended with ${code}`)));
  });
  const child = await command.spawn();
  const { url, token } = await announced;
  return { client: new Client(url, token), end: () => child.kill() };
}

/** Drafts an answer; `signal` stops it. */
export async function draft(client, prompt, show, signal) {
  for await (const event of client.stream({ prompt }, { signal })) {
    if (event.type === "leading" && event.text) show(event.text);
    if (event.type === "done") return event.generation;
  }
}

/** Learns from what the user really sent. */
export async function sent(client, generation, text) {
  const judgment = text === generation.text ? { kind: "accept" } : { kind: "edit", text };
  await client.feedback(generation.generation_id, judgment);
}
