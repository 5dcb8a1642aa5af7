// What a bot decided and why: each decision opens to what it was made of and what became of it.

import { h, nothing, pairs } from "./dom.js";
import { evidence, rawTexts } from "./evidence.js";
import { figure, moment, percent, plain, words } from "./figures.js";

const INTENTS = { enter_long: "Buy", enter_short: "Sell short", exit: "Exit", reduce: "Reduce" };

export function decisions(found, path, more) {
  if (!found.items.length) return nothing(null, "It has decided nothing yet.");
  return [
    found.items.map((one) => decision(one, path)),
    found.next && h("p", { class: "more" }, h("button", { type: "button", class: "quiet", "data-key": "more-decisions", onclick: more }, "Show more")),
  ];
}

function decision(row, path) {
  const proof = h("div");
  return h(
    "details",
    { class: "why", "data-key": row.decision_id, ontoggle: (event) => event.target.open && evidence(proof, `${path}/decisions/${encodeURIComponent(row.decision_id)}`) },
    h(
      "summary",
      {},
      h("span", {}, `${INTENTS[row.intent] ?? words(row.intent)} ${row.symbol} `, verdictChip(row)),
      moment(row.at),
      h("span", { class: "soft" }, summaryText(row)),
    ),
    h("div", {}, row.reason && h("blockquote", {}, row.reason), terms(row), measured(row), row.advice && advised(row.advice, path), proof),
  );
}

function summaryText(row) {
  const said = denialText(row) || row.reason || words(row.setup) || words(row.strategy);
  return `${row.verdict === "allowed" ? "Allowed, at" : "At"} ${plain(row.mark)}: ${said}`;
}

function verdictChip(row) {
  return row.verdict === "denied" && h("span", { class: "chip bad" }, "denied");
}

function denialText(row) {
  if (row.verdict !== "denied") return "";
  if (row.denial) return row.denial;
  return `${words(row.rule)}: ${plain(row.value)} against a limit of ${plain(row.limit)}`;
}

function terms(row) {
  return pairs([
    ["Denied by", row.verdict === "denied" ? denialText(row) : null],
    ["Price then", plain(row.mark)],
    ["Equity then", figure(row.equity)],
    ["Size", row.size_fraction && percent(row.size_fraction)],
    ["Entry", row.entry_price && plain(row.entry_price)],
    ["Stop", row.stop_loss && plain(row.stop_loss)],
    ["Target", row.take_profit && plain(row.take_profit)],
    ["Confidence", row.confidence && percent(row.confidence)],
    ["Set-up", words(row.setup)],
    ["Order", row.order_id],
    ["Decided by", `${words(row.strategy)} version ${row.strategy_version}`],
    ["Settings", row.parameters.map((one) => `${one.name} ${one.value}`).join(", ")],
    ["Candles read", plain(String(row.window))],
    ["Digest of those", h("code", {}, row.window_digest.slice(0, 16), "\u2026")],
  ]);
}

function measured(row) {
  if (!row.measurements.length) return null;
  return h("div", {}, h("h3", {}, "What it measured"), pairs(row.measurements.map((one) => [words(one.name), String(one.value)])));
}

function advised(advice, path) {
  const { opinion } = advice;
  return h(
    "div",
    {},
    h("h3", {}, `What ${advice.resolved_model || advice.model} advised`),
    opinion && opinion.reason && h("blockquote", {}, opinion.reason),
    pairs([
      ["Opinion", opinion && `${words(opinion.action)}, confidence ${opinion.confidence}`],
      ["Template", advice.template],
      ["Prompt", advice.prompt && h("code", {}, advice.prompt.slice(0, 16), "\u2026")],
      ["Answer", advice.answer && h("code", {}, advice.answer.slice(0, 16), "\u2026")],
    ]),
    rawTexts(`${path}/advice/${encodeURIComponent(advice.advice_id)}`, advice),
  );
}
