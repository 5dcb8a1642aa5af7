// The evidence of a decision out of the log, and the very texts that a model was sent and answered.

import { Problem, read } from "./client.js";
import { fill, h, pairs } from "./dom.js";
import { count, moment, plain, words } from "./figures.js";

const KEPT_MAX = 50;
const kept = new Map();

// What the log proves of a decision, read when somebody opens it and kept once nothing more can follow from it.
export async function evidence(place, path) {
  if (place.childElementCount) return;
  try {
    const found = kept.get(path) ?? (await read(path));
    if (found.complete) keep(path, found);
    fill(place, shown(found));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    fill(place, h("p", { class: "soft small" }, problem.message));
  }
}

function keep(path, found) {
  kept.delete(path);
  kept.set(path, found);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
}

function shown(found) {
  const { window, made, orders } = found;
  const candles = `${count(window.candles, "candle")} up to ${window.last.slice(0, 16).replace("T", " ")}`;
  return h(
    "div",
    {},
    h("h3", {}, "Evidence"),
    pairs([
      ["Recorded", [moment(made.recorded_at, { seconds: true }), ` at position ${plain(String(made.position))}`]],
      ["It looked at", candles],
      ["Those stored now", window.confirmed ? "have the same digest" : "have another digest"],
      ...orders.flatMap(({ order, events }) => events.map((event) => [order ? `Order #${order.number}` : "Order", [`${words(event.event_type.split(".").pop())} `, h("span", { class: "soft" }, `position ${plain(String(event.position))}`)]])),
    ]),
  );
}

export function rawTexts(path, { prompt, answer }) {
  return h(
    "div",
    {},
    prompt && text("What it was sent, to the letter", `${path}/prompt`),
    answer && text("What it answered, to the letter", `${path}/answer`),
  );
}

function text(title, path) {
  const place = h("pre", { tabindex: "0", "aria-label": title });
  return h("details", { class: "raw", "data-key": path, ontoggle: (event) => event.target.open && show() }, h("summary", {}, title), place);

  async function show() {
    try {
      fill(place, await read(path));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fill(place, problem.message);
    }
  }
}
