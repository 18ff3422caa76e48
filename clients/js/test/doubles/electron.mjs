// Electron in one process: what crosses between page and main process is copied, as it is there.

import { EventEmitter } from "node:events";

const handlers = new Map();
const pages = new EventEmitter();
const sender = { id: 1, send: (channel, ...told) => pages.emit(channel, {}, ...structuredClone(told)) };

class App extends EventEmitter {
  whenReady() {
    return Promise.resolve();
  }

  /** Asks before it quits, as Electron does; resolves when it has. */
  quit() {
    let refused = false;
    this.emit("before-quit", { preventDefault: () => (refused = true) });
    if (!refused) this.emit("quit");
  }
}

export const app = new App();
export const ipcMain = {
  handle: (channel, work) => handlers.set(channel, work),
  on: (channel, work) => handlers.set(channel, work),
};
export const ipcRenderer = {
  invoke: async (channel, ...asked) => structuredClone(await handlers.get(channel)({ sender }, ...structuredClone(asked))),
  send: (channel, ...told) => void handlers.get(channel)({ sender }, ...structuredClone(told)),
  on: (channel, hear) => pages.on(channel, hear),
};

/** What the preload script lets the page see. */
export const world = {};
export const contextBridge = { exposeInMainWorld: (name, api) => (world[name] = api) };

export class BrowserWindow {
  static opened = [];

  constructor(options) {
    this.options = options;
    BrowserWindow.opened.push(this);
  }

  loadFile(name) {
    this.file = name;
  }
}
