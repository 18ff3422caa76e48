// What an Electron app does with the sidecar, without Electron: one server for the app, one draft a window at a time.

import { start } from "edge-ttp-client/sidecar";

export class Drafts {
  #starting;
  #underWay = new Map(); // window -> what ends its draft

  constructor(options = {}) {
    this.options = options;
  }

  /** The server, started when first needed, and again where it is gone. */
  #server() {
    this.#starting ??= start(this.options).then(
      (server) => {
        server.gone.then(() => (this.#starting = undefined));
        return server;
      },
      (error) => {
        this.#starting = undefined;
        throw error;
      },
    );
    return this.#starting;
  }

  /** Drafts an answer to `prompt`; `show` is given the leading text as it changes. Null where it was cancelled. */
  async draft(window, prompt, show) {
    this.cancel(window);
    const control = new AbortController();
    this.#underWay.set(window, control);
    try {
      const server = await this.#server();
      for await (const event of server.stream({ prompt }, { signal: control.signal })) {
        if (event.type === "leading" && event.text) show(event.text);
        if (event.type === "done") return { id: event.generation.generation_id, text: event.generation.text };
      }
    } catch (error) {
      if (error.name === "AbortError") return null;
      throw error;
    } finally {
      if (this.#underWay.get(window) === control) this.#underWay.delete(window);
    }
    return null;
  }

  cancel(window) {
    this.#underWay.get(window)?.abort();
  }

  /** Learns from what the user really sent. */
  async sent(draft, text) {
    const judgment = text === draft.text ? { kind: "accept" } : { kind: "edit", text };
    await (await this.#server()).feedback(draft.id, judgment);
  }

  async end() {
    for (const control of this.#underWay.values()) control.abort();
    await (await this.#starting)?.end();
  }
}
