// Tauri's plugin shell: a sidecar is what EDGE_TTP_COMMAND names, its output comes by lines.

import { spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { createInterface } from "node:readline";

export class Command extends EventEmitter {
  stdout = new EventEmitter();
  stderr = new EventEmitter();

  static sidecar(program, args) {
    const made = new Command();
    Object.assign(made, { program, args });
    return made;
  }

  async spawn() {
    const [program, ...first] = JSON.parse(process.env.EDGE_TTP_COMMAND);
    const child = spawn(program, [...first, ...this.args], { stdio: ["pipe", "pipe", "ignore"] });
    createInterface({ input: child.stdout }).on("line", (line) => this.stdout.emit("data", line));
    child.on("error", (error) => this.emit("error", error));
    child.on("close", (code, signal) => this.emit("close", { code, signal }));
    return { pid: child.pid, kill: async () => void child.kill("SIGKILL") };
  }
}
