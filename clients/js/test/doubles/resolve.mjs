// Electron and Tauri's plugin, as far as the examples use them: their names lead to the doubles beside this file.

const DOUBLES = { electron: "./electron.mjs", "@tauri-apps/plugin-shell": "./plugin-shell.mjs" };

export async function resolve(specifier, context, next) {
  const double = DOUBLES[specifier];
  return double ? { url: new URL(double, import.meta.url).href, shortCircuit: true } : next(specifier, context);
}
