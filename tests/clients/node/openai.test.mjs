// OpenAI's own client for JavaScript, unchanged, against a real server: EDGE_TTP_URL and EDGE_TTP_TOKEN name it.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const BARE = "smollm2-135m-instruct";
const messages = [{ role: "user", content: "The meeting moves to Friday." }];
const baseURL = `${process.env.EDGE_TTP_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.EDGE_TTP_TOKEN, maxRetries: 0 });
const completions = client.chat.completions;

test("models are listed, also page by page", async () => {
  const found = [];
  for await (const model of client.models.list()) found.push(model.id);
  assert.ok(found.includes("me") && found.includes(BARE));
  assert.equal((await client.models.retrieve(BARE)).id, BARE);
});

test("a chat with two choices", async () => {
  const answer = await completions.create({ model: "me", messages, max_tokens: 12, n: 2, store: false });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1]);
  assert.ok(answer.usage.total_tokens > 0);
});

test("a stream with usage", async () => {
  const chunks = [];
  const stream_options = { include_usage: true };
  const stream = await completions.create({ model: BARE, messages, max_tokens: 12, stream: true, stream_options });
  for await (const chunk of stream) chunks.push(chunk);
  assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""));
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
});

test("the helper that collects a stream, with a best of N", async () => {
  const stream = completions.stream({ model: "me", messages, max_tokens: 12, store: false });
  let said = "";
  stream.on("content", (delta) => (said += delta));
  const whole = await stream.finalChatCompletion();
  assert.equal(whole.choices[0].message.content, said);
  assert.equal(whole.choices[0].message.role, "assistant");
});

test("structured output, whole and streamed", async () => {
  const format = zodResponseFormat(z.object({ day: z.enum(["Thursday", "Friday"]) }), "moved");
  const asked = { model: BARE, messages, response_format: format, max_tokens: 80 };
  const parsed = (await completions.parse(asked)).choices[0].message.parsed;
  assert.ok(["Thursday", "Friday"].includes(parsed.day));
  const streamed = await completions.stream(asked).finalChatCompletion();
  assert.ok(["Thursday", "Friday"].includes(streamed.choices[0].message.parsed.day));
});

test("errors are the client's own, with the cure", async () => {
  await assert.rejects(completions.create({ model: "nope", messages }), OpenAI.NotFoundError);
  await assert.rejects(completions.create({ model: "me", messages, tool_choice: "required" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.ok(error.error.cure);
    return true;
  });
  const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.chat.completions.create({ model: "me", messages }), OpenAI.AuthenticationError);
  const late = { model: "me", messages, stream: true, edge_ttp: { deadline_s: 0.0001 } };
  await assert.rejects(async () => {
    for await (const _ of await completions.create(late));
  }, OpenAI.APIError);
});

test("a stream that is left, and one that is aborted, end; the next request is answered", async () => {
  for (const how of ["left", "aborted"]) {
    const stream = await completions.create({ model: BARE, messages, max_tokens: 2000, stream: true });
    try {
      for await (const _ of stream) {
        if (how === "left") break;
        stream.controller.abort();
      }
    } catch (error) {
      assert.ok(how === "aborted" && error instanceof OpenAI.APIUserAbortError, String(error));
    }
  }
  const both = [0, 1].map(() => completions.create({ model: BARE, messages, max_tokens: 8 }));
  assert.equal((await Promise.all(both)).length, 2);
});

test("responses and completions", async () => {
  const answer = await client.responses.create({ model: BARE, input: "Say hello.", max_output_tokens: 16 });
  assert.ok(answer.output_text);
  const kinds = [];
  const asked = { model: BARE, input: "What is the capital of France?", temperature: 0, stream: true };
  const stream = await client.responses.create(asked);
  for await (const event of stream) kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  const plain = await client.completions.create({ model: BARE, prompt: "One, two,", max_tokens: 6 });
  assert.ok(plain.choices[0].text);
});
