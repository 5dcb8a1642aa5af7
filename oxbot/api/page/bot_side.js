// What stands beside a bot's story: its limits, its models' advice and cost, and how it was set up.

import { h, nothing, pairs } from "./dom.js";
import { rawTexts } from "./evidence.js";
import { add, compare, figure, moment, plain, rounded, words } from "./figures.js";
import { framedTable } from "./tables.js";

const NEAR = "0.8";
const NAMES = {
  positions_max: "Open positions",
  position_fraction_max: "Largest position",
  exposure_fraction_max: "Exposure",
  net_exposure_fraction_max: "Net exposure",
  leverage_max: "Leverage",
  drawdown_max: "Drawdown",
  daily_loss_max: "Loss today",
  cooldown_candles: "Pause after a trade",
  stop_guard: "Pause after stops",
  profit_guard: "Pause after losses",
};

export function limits(room, quote) {
  const used = room.items.filter(telling).map((row) => meter(row, quote));
  const others = room.limits.filter((one) => !["none", "no"].includes(one.value) && !room.items.some((two) => two.rule === one.limit));
  return [
    used.length ? used : nothing(null, "No limit can be used up."),
    h("details", { "data-key": "asked-of-entries" }, h("summary", { class: "small" }, "Asked of each entry"), pairs(others.map((one) => [words(one.limit), `${plain(one.value)} ${one.unit}`]))),
  ];
}

// A state is shown with the bot, and a leverage of one is no limit that anybody set.
function telling(row) {
  return row.rule !== "trading_state" && !(row.rule === "leverage_max" && row.limit === "1");
}

function meter(row, quote) {
  const unit = row.unit === "quote" ? quote : row.unit;
  const label = (NAMES[row.rule] ?? words(row.rule)) + (row.symbol ? `, ${row.symbol}` : "");
  const part = row.share === null ? "1" : row.share;
  const state = !row.kept ? "over" : compare(part, NEAR) >= 0 && row.share !== null ? "near" : "";
  return h(
    "div",
    { class: `meter ${state}`, title: row.meaning },
    h("div", { class: "row" }, h("span", {}, label), h("span", { class: "soft" }, `${short(row.used)} of ${short(row.limit)}${unit === "positions" ? "" : ` ${unit}`}`)),
    h("progress", { max: 1, value: Math.min(1, Math.max(0, Number(part))), "aria-label": `${label}: ${plain(row.left)} ${unit} left` }),
  );
}

// To a few decimals, for what stands beside a bar; what is left is said in full to whoever cannot see the bar.
function short(text) {
  const places = text.replace("-", "").split(".")[0].length > 2 ? 2 : 4;
  return rounded(text, places);
}

const SPENDING = [
  { title: "Day", cell: (row) => row.day },
  { title: "Model", wrap: true, cell: (row) => row.model },
  { title: "Calls", number: true, cell: (row) => plain(String(row.calls)) },
  { title: "USD", number: true, cell: (row) => figure(row.cost) },
];

export function spending(rows) {
  if (!rows.length) return nothing(null, "It has asked no model.");
  const sum = add(...rows.map((row) => row.cost));
  return [framedTable("Model spend by day", SPENDING, rows.slice(0, 10), { kind: "stacked" }), h("p", { class: "more small" }, "Together ", figure(sum), " USD")];
}

export function advice(rows, path) {
  if (!rows.length) return nothing(null, "It has asked no model.");
  return rows.map((row) => asked(row, path));
}

function asked(row, path) {
  return h(
    "details",
    { class: "why", "data-key": row.advice_id },
    h(
      "summary",
      {},
      h("span", {}, `${row.resolved_model || row.model} `, h("span", { class: `chip ${{ advised: "good", answered: "good", pending: "caution" }[row.outcome] ?? "bad"}` }, words(row.outcome))),
      moment(row.asked_at),
      h("span", { class: "soft" }, row.opinions.map((one) => `${one.symbol}: ${words(one.action)}`).join(", ") || words(row.reason ?? "") || row.symbols.join(", ")),
    ),
    h(
      "div",
      {},
      row.detail && h("p", { class: "small" }, row.detail),
      row.opinions.map((one) => h("div", {}, h("h3", {}, `${one.symbol}: ${words(one.action)}, confidence ${one.confidence}`), one.reason && h("blockquote", {}, one.reason))),
      pairs([
        ["Template", `${row.template} version ${row.template_version}`],
        ["Cost", h("span", {}, figure(row.cost), " USD")],
        ["Took", row.latency_ms ? `${plain(String(row.latency_ms))} ms` : null],
        ["Tokens", row.usage.input_tokens ? `${plain(String(row.usage.input_tokens))} in, ${plain(String(row.usage.output_tokens))} out` : null],
      ]),
      rawTexts(`${path}/advice/${encodeURIComponent(row.advice_id)}`, row),
    ),
  );
}

export function setup(bot) {
  return pairs([
    ["Id", h("code", {}, bot.bot_id)],
    ["Fleet", bot.fleet],
    ["Created", moment(bot.created_at)],
    ["Begins", moment(bot.begins_at)],
    ["Strategy", `${words(bot.strategy)} version ${bot.strategy_version}`],
    ...bot.parameters.map((one) => [words(one.name), one.value]),
    ["Fees", bot.fees && `${bot.fees.maker} maker, ${bot.fees.taker} taker`],
    ["Sizing", bot.sizing && words(bot.sizing.method)],
  ]);
}
