// What the page may do, and nothing else.

const { contextBridge, ipcRenderer } = require("electron");

contextBridge.exposeInMainWorld("drafts", {
  draft: (prompt) => ipcRenderer.invoke("draft", prompt),
  cancel: () => ipcRenderer.send("cancel"),
  sent: (draft, text) => ipcRenderer.invoke("sent", draft, text),
  onLeading: (show) => ipcRenderer.on("leading", (_event, text) => show(text)),
});
