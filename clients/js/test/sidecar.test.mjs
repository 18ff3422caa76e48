// The client against the real server and the real policy. EDGE_TTP_COMMAND names the program, as a JSON list;
// EDGE_TTP_HOME a home with the default policy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, EdgeTTPError } from "../dist/client.js";
import { attach, start } from "../dist/sidecar.js";

const command = JSON.parse(process.env.EDGE_TTP_COMMAND);
const SHORT = { prompt: "The meeting moves to Friday.", n: 2, select: "first", sampling: { max_tokens: 8 } };
const LONG = { prompt: "Tell me of the sea.", n: 4, select: "first", sampling: { max_tokens: 2000 }, store: false };
let sidecar;

before(async () => {
  sidecar = await start({ command });
  await sidecar.ready();
});
after(() => sidecar.end());

test("the handshake", async () => {
  const info = await sidecar.info();
  assert.equal(info.instance, sidecar.announced.instance);
  assert.equal(info.version, sidecar.announced.version);
});

test("one answer, and what was done with it", async () => {
  const answer = await sidecar.generate({ ...SHORT, seed: 5 });
  assert.equal(answer.candidates.length, 2);
  assert.equal(answer.text, answer.candidates[answer.chosen].text);
  assert.ok(answer.stored);
  await sidecar.feedback(answer.generation_id, { kind: "edit", text: "friday then" });
  await sidecar.retract(answer.generation_id);
  await assert.rejects(sidecar.feedback("no-such", { kind: "accept" }), { code: "not_found", status: 404 });
});

test("models leave the memory and come back", async () => {
  await sidecar.unload();
  await sidecar.load();
  assert.ok((await sidecar.generate(SHORT)).text !== undefined);
  const guest = new Client(sidecar.url, "no token");
  await assert.rejects(guest.unload(), { code: "no_token", status: 401 });
});

test("events add up to the answer", async () => {
  const texts = ["", ""];
  let last;
  for await (const event of sidecar.stream({ ...SHORT, seed: 5 })) {
    if (event.type === "delta") texts[event.candidate] += event.text;
    last = event;
  }
  assert.equal(last.type, "done");
  assert.equal(texts[last.generation.chosen].trim(), last.generation.text);
});

test("an abort ends the stream at once, and the server goes on", async () => {
  const control = new AbortController();
  await assert.rejects(
    async () => {
      for await (const event of sidecar.stream(LONG, { signal: control.signal })) {
        if (event.type === "delta") control.abort();
      }
    },
    { name: "AbortError" },
  );
  assert.ok((await sidecar.generate(SHORT)).text !== undefined);
});

test("leaving the loop ends the request", async () => {
  for await (const event of sidecar.stream(LONG)) if (event.type === "delta") break;
  assert.ok((await sidecar.generate(SHORT)).text !== undefined);
});

test("a sub-user has a history of its own", async () => {
  const answer = await sidecar.generate(SHORT, { user: "ann b" });
  await sidecar.feedback(answer.generation_id, { kind: "accept" }, { user: "ann b" });
  await assert.rejects(sidecar.feedback(answer.generation_id, { kind: "accept" }, { user: "zoe" }), EdgeTTPError);
});

test("refusals say the fact and the cure", async () => {
  await assert.rejects(sidecar.generate({}), (error) => error.code === "invalid_input" && error.cure !== "");
  await assert.rejects(new Client(sidecar.url, "wrong").info(), { status: 401 });
  await assert.rejects(async () => {
    for await (const _ of sidecar.stream({ ...SHORT, model: "no-such" }));
  }, { code: "not_found" });
});

test("a running server is found, a dead one is not", async () => {
  const found = await attach();
  assert.equal((await found.info()).instance, sidecar.announced.instance);
  assert.equal(await attach("/nowhere"), null);
});

test("a second sidecar ends when asked, and says so", async () => {
  const second = await start({ command });
  assert.notEqual(second.announced.instance, sidecar.announced.instance);
  assert.equal(await second.end(), 0);
  assert.equal(await second.gone, 0);
});

test("a program that is none is an error, not a wait", async () => {
  await assert.rejects(start({ command: ["/nowhere/edge-ttp"] }), { code: "no_server" });
  await assert.rejects(start({ command: [process.execPath, "-e", "console.log('hello')"] }), { code: "no_server" });
  await assert.rejects(start({ command: [process.execPath, "-e", "process.exit(3)"] }), /ended with 3/);
});
