// Light or dark: as the system says, or as was chosen here.

import { h, svg } from "./dom.js";

const KEPT = "oxbot.theme";
const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const watchers = new Set();
let chosen = kept();

function kept() {
  try {
    const found = localStorage.getItem(KEPT);
    return found in NAMES ? found : "auto";
  } catch {
    return "auto";
  }
}

export function onTheme(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function applyTheme() {
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const watcher of watchers) watcher();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);

export function themeButton() {
  const button = h("button", { type: "button", class: "icon quiet", onclick: turn });
  show();
  return button;

  function turn() {
    chosen = NEXT[chosen];
    try {
      localStorage.setItem(KEPT, chosen);
    } catch {
      // It holds for as long as the page is open.
    }
    applyTheme();
    show();
  }

  function show() {
    const text = `Colours: ${NAMES[chosen]}. Change to ${NAMES[NEXT[chosen]]}.`;
    button.setAttribute("aria-label", text);
    button.title = text;
    button.replaceChildren(icon());
  }
}

function icon() {
  const shape = {
    auto: "M12 3a9 9 0 1 0 0 18Z",
    light: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10Z",
    dark: "M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500Z",
  }[chosen];
  const rays = "M12 1.500v2M12 20.500v2M1.500 12h2M20.500 12h2M4.600 4.600 6 6M18 18l1.400 1.400M4.600 19.400 6 18M18 6l1.400-1.400";
  return svg(
    "svg",
    { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "currentColor" },
    chosen === "auto" && svg("circle", { cx: 12, cy: 12, r: 9, fill: "none", stroke: "currentColor", "stroke-width": 1.6 }),
    svg("path", { d: shape }),
    chosen === "light" && svg("path", { d: rays, stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round" }),
  );
}

// The colours of the theme in force, for what does not read style sheets: the charts.
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = ["ink", "ink-soft", "line", "surface", "accent", "gain", "loss", "caution", "sunken"];
  return Object.fromEntries(named.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
