// The client of /ttp/v1: nothing but fetch, so it runs in browsers, Node 20, Electron and Tauri alike.

import type { DraftEvent, DraftRequest, Generation, Info, Judgment } from "./types.js";

export type * from "./types.js";

/** The version of the protocol that this client speaks. */
export const PROTOCOL = 1;

/** What the server refused, or what went wrong: the fact, and what to do. */
export class EdgeTTPError extends Error {
  override name = "EdgeTTPError";
  /** HTTP status; 0 where the fault came in a stream or from the client itself. */
  readonly status: number;
  /** The word for programs: `invalid_input`, `model_unavailable` ... */
  readonly code: string;
  readonly cure: string;

  constructor(code: string, fact: string, cure = "", status = 0) {
    super(cure ? `${fact}; ${cure}` : fact);
    this.code = code;
    this.cure = cure;
    this.status = status;
  }
}

export interface CallOptions {
  /** A sub-user of the token's user. */
  user?: string;
  /** Ends the request: the server stops drawing within a step. */
  signal?: AbortSignal;
}

interface Asked extends CallOptions {
  method?: string;
  body?: unknown;
}

/** A server that runs. */
export class Client {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url.replace(/\/+$/, "");
    this.#token = token;
  }

  /** Which server this is. Throws where it speaks another protocol. */
  async info(options: CallOptions = {}): Promise<Info> {
    const found = (await this.#json("/info", options)) as Info;
    if (found.protocol !== PROTOCOL) {
      throw new EdgeTTPError(
        "another_protocol",
        `the server (${found.version}) speaks protocol ${found.protocol}, this client ${PROTOCOL}`,
        "update the older one",
      );
    }
    return found;
  }

  /** Resolves when the models are in memory; requests before that wait by themselves. */
  async ready(signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const found = await fetch(`${this.url}/health`, signal ? { signal } : {});
      await found.arrayBuffer();
      if (found.ok) return;
      await new Promise((wake) => setTimeout(wake, 200));
    }
  }

  /** One answer, whole. */
  async generate(request: DraftRequest, options: CallOptions = {}): Promise<Generation> {
    const body = { ...request, stream: false };
    return (await this.#json("/generate", { ...options, method: "POST", body })) as Generation;
  }

  /** One answer, as events; leaving the loop ends the request. The last event is `done`. */
  async *stream(request: DraftRequest, options: CallOptions = {}): AsyncGenerator<DraftEvent, void, void> {
    const body = { ...request, stream: true };
    const answer = await this.#fetch("/generate", { ...options, method: "POST", body });
    for await (const data of messages(answer)) {
      const told = JSON.parse(data);
      if (told.error) throw errorOf(told, 0);
      yield told as DraftEvent;
      if (told.type === "done") return;
    }
    throw new EdgeTTPError("connection_lost", "the answer ended before it was complete", "ask again");
  }

  /** Says what the user did with an answer; it takes the place of what was said before. */
  async feedback(generationId: string, judgment: Judgment, options: CallOptions = {}): Promise<void> {
    await this.#json(feedbackPath(generationId), { ...options, method: "POST", body: judgment });
  }

  /** Takes back what was said of an answer. */
  async retract(generationId: string, options: CallOptions = {}): Promise<void> {
    await this.#json(feedbackPath(generationId), { ...options, method: "DELETE" });
  }

  /** Loads the models now instead of with the next request. The owner's token only. */
  async load(options: CallOptions = {}): Promise<void> {
    for await (const data of messages(await this.#fetch("/models/load", { ...options, method: "POST", body: {} }))) {
      const told = JSON.parse(data);
      if (told.error) throw errorOf(told, 0);
    }
  }

  /** Gives the models' memory back; they come again when they are needed. The owner's token only. */
  async unload(options: CallOptions = {}): Promise<void> {
    await this.#json("/models/unload", { ...options, method: "POST", body: {} });
  }

  async #json(path: string, asked: Asked): Promise<unknown> {
    return (await this.#fetch(path, asked)).json();
  }

  async #fetch(path: string, { method = "GET", body, user, signal }: Asked): Promise<Response> {
    const query = user === undefined ? "" : `?user=${encodeURIComponent(user)}`;
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(`${this.url}/ttp/v1${path}${query}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    if (answer.ok) return answer;
    throw errorOf(await answer.json().catch(() => ({})), answer.status);
  }
}

function feedbackPath(generationId: string): string {
  return `/generations/${encodeURIComponent(generationId)}/feedback`;
}

function errorOf(told: any, status: number): EdgeTTPError {
  const error = told?.error ?? {};
  const fact = String(error.message ?? `the server answered ${status}`);
  return new EdgeTTPError(String(error.code ?? "error"), fact, String(error.cure ?? ""), status);
}

/** The data of each message of a stream (server-sent events; ours have one line of data). */
async function* messages(answer: Response): AsyncGenerator<string, void, void> {
  if (!answer.body) return;
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // closes the connection where the loop was left early
  }
}
