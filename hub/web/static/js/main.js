// Start: texts, language, theme, then the page.

import { loadTexts, setLanguage } from "./i18n.js";
import { refreshTheme } from "./theme.js";

const asked = new URLSearchParams(location.search);
for (const [name, key] of [["lang", "ctg.language"], ["theme", "ctg.theme"], ["px_per_cm", "ctg.pxPerCm"]]) {
  if (asked.has(name)) localStorage.setItem(key, asked.get(name));
}
await loadTexts();
setLanguage(localStorage.getItem("ctg.language") ?? "ja");
refreshTheme();
await document.fonts.ready;
const { App } = await import("./app.js");
const app = new App(document.getElementById("app"), document.getElementById("lost"), document.getElementById("say"));
window.ctgApp = app;
app.start();
