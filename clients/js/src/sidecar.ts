// A server as a desktop app's own process: started, found, ended. For Node and Electron's main process.

import { spawn, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Client, EdgeTTPError, PROTOCOL } from "./client.js";

export * from "./client.js";

export interface StartOptions {
  /** The program and its first arguments, where it is not on the PATH: `["/app/bin/edge-ttp"]`. */
  command?: string[];
  /** Further options of `edge-ttp serve`, such as `["--idle-unload", "10m"]`. */
  options?: string[];
  /** The folder that history and models live in (EDGE_TTP_HOME). */
  home?: string;
  /** Milliseconds until the server has to say where it is. */
  patience?: number;
}

/** What the server says on its first line. */
export interface Announcement {
  url: string;
  token: string;
  pid: number;
  version: string;
  protocol: number;
  instance: string;
}

/** Starts a server that lives as long as this process, or until `end`. */
export async function start(options: StartOptions = {}): Promise<Sidecar> {
  const [program, ...first] = options.command ?? ["edge-ttp"];
  if (program === undefined) throw new EdgeTTPError("invalid_input", "the command is empty", "name the program");
  const child = spawn(program, [...first, "serve", "--port", "0", "--announce", ...(options.options ?? [])], {
    stdio: ["pipe", "pipe", "pipe"], // the server ends when its stdin closes, so with this process too
    env: { ...process.env, ...(options.home === undefined ? {} : { EDGE_TTP_HOME: options.home }) },
    windowsHide: true,
  });
  try {
    const announced = await announcement(child, options.patience ?? 60_000);
    checkProtocol(announced);
    return new Sidecar(child, announced);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** The server of this home that runs already (`edge-ttp serve`), null where there is none. */
export async function attach(home?: string): Promise<Client | null> {
  const found = await readFile(join(runtimeFolder(home), "server.json"), "utf8").catch(() => null);
  if (found === null) return null;
  try {
    const announced = JSON.parse(found) as Announcement;
    const client = new Client(announced.url, announced.token);
    return (await client.info()).instance === announced.instance ? client : null;
  } catch (error) {
    if (error instanceof EdgeTTPError && error.code === "another_protocol") throw error;
    return null; // left behind by a server that was killed
  }
}

/** A server that this process started. */
export class Sidecar extends Client {
  readonly announced: Announcement;
  /** Resolves with the exit code when the server is gone, for whatever reason (null: by a signal). */
  readonly gone: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, announced: Announcement) {
    super(announced.url, announced.token);
    this.announced = announced;
    this.#child = child;
    this.gone =
      child.exitCode === null && child.signalCode === null
        ? new Promise((resolve) => child.once("exit", resolve))
        : Promise.resolve(child.exitCode);
  }

  /** Ends the server: asked first, then forced after `patience` milliseconds. Returns the exit code. */
  async end(patience = 10_000): Promise<number | null> {
    this.#child.stdin?.end();
    const force = setTimeout(() => this.#child.kill("SIGKILL"), patience);
    try {
      return await this.gone;
    } finally {
      clearTimeout(force);
    }
  }
}

function announcement(child: ChildProcess, patience: number): Promise<Announcement> {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = (fact: string, cure: string) => reject(new EdgeTTPError("no_server", fact, cure));
    const late = setTimeout(() => fail(`the server said nothing for ${patience} ms`, "allow more time"), patience);
    child.stderr?.on("data", (text) => (said = (said + text).slice(-2000))); // read on, or the pipe fills up
    child.stdin?.on("error", () => undefined); // a server that is gone takes nothing
    child.once("error", (error) => {
      clearTimeout(late);
      fail(`the server cannot be started (${error.message})`, "pip install 'edge-ttp[server]', or give `command`");
    });
    child.once("close", (code) => {
      clearTimeout(late);
      fail(`the server ended with ${code}: ${said.trim()}`, "run the command by hand");
    });
    createInterface({ input: child.stdout! }).once("line", (line) => {
      clearTimeout(late);
      try {
        resolve(JSON.parse(line) as Announcement);
      } catch {
        fail(`the server's first line is no JSON: ${line.slice(0, 200)}`, "give the right `command`");
      }
    });
  });
}

function checkProtocol(announced: Announcement): void {
  if (announced.protocol === PROTOCOL) return;
  const fact = `the server (${announced.version}) speaks protocol ${announced.protocol}, this client ${PROTOCOL}`;
  throw new EdgeTTPError("another_protocol", fact, "update the older one");
}

/** Where a running server leaves its address, as edge_ttp/paths.py has it. */
function runtimeFolder(home = process.env["EDGE_TTP_HOME"]): string {
  if (home) return join(home, "run");
  const runtime = process.env["XDG_RUNTIME_DIR"];
  if (process.platform === "linux" && runtime) return join(runtime, "edge-ttp");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "edge-ttp", "run");
  if (process.platform === "win32") {
    return join(process.env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "edge-ttp", "Cache", "run");
  }
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "edge-ttp", "run");
}
