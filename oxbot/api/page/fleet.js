// The fleet: all bots in one table, what needs attention above it, and what they are worth together.

import { may, read, readFloor, reached } from "./client.js";
import { h, nothing, panel, refill } from "./dom.js";
import { add, count, figure, percentOf, plain, signOf, subtract, words } from "./figures.js";
import { notices } from "./notices.js";
import { framed, sorted, table } from "./tables.js";

let sorting = { title: "Bot", descending: false };
let wanted = { text: "", status: "" };

const COLUMNS = [
  { title: "Bot", wrap: true, cell: nameCell, sort: (row) => row.name.toLowerCase() },
  { title: "Status", class: "chipped", cell: (row) => statusChip(row), sort: (row) => row.status },
  { title: "Equity", number: true, label: "Equity", cell: (row) => money(row.equity, row.quote), sort: (row) => row.equity, decimal: true },
  { title: "Profit", number: true, label: "Profit", cell: profitCell, sort: (row) => row.pnl, decimal: true },
  { title: "Drawdown", number: true, label: "Max drawdown", cell: (row) => (row.max_drawdown === null ? "\u2013" : percentOf(row.max_drawdown, "1")), sort: (row) => row.max_drawdown, decimal: true },
  { title: "Open", number: true, label: "Open positions", cell: (row) => plain(String(row.open_positions)), sort: (row) => String(row.open_positions), decimal: true },
  { title: "Trades", number: true, class: "minor", cell: (row) => plain(String(row.trades)), sort: (row) => String(row.trades), decimal: true },
  { title: "Strategy", wrap: true, class: "minor", cell: (row) => words(row.strategy), sort: (row) => row.strategy },
  { title: "Market", wrap: true, class: "across", cell: marketCell, sort: (row) => row.symbols.join() },
];

export function fleet() {
  const head = h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, "Fleet")), newButton());
  const attention = h("div");
  const totals = h("div");
  const list = h("div");
  let rows = [];
  const shown = panel("Bots", { tools: filters(() => show()), flush: true, id: "bots" }, list);
  const element = h("div", {}, head, attention, totals, shown);
  const view = { title: "Fleet", element, load, wants: (event) => event.stream?.startsWith("bot-") || event.stream?.startsWith("alert") };
  return view;

  async function load() {
    const [found, alerts] = await Promise.all([fleetRows(), notices()]);
    rows = found;
    refill(attention, alerts);
    refill(totals, totalFigures(rows));
    show();
    view.loaded = true;
  }

  function show() {
    const some = rows.filter(matches);
    refill(list, rows.length ? listed(some) : welcome());
  }

  function listed(some) {
    if (!some.length) return nothing(null, "No bot matches.");
    const order = (next) => {
      sorting = next;
      show();
    };
    return framed("All bots", table("Bots", COLUMNS, sorted(some, COLUMNS, sorting), { kind: "fleet", key: (row) => row.bot_id, sorting, onSort: order }));
  }
}

async function fleetRows() {
  const floor = readFloor();
  const overview = await read("/overview", floor);
  reached(floor);
  return overview.items;
}

function matches(row) {
  const text = wanted.text.toLowerCase();
  const found = [row.name, row.bot_id, row.strategy, ...row.symbols].some((one) => one.toLowerCase().includes(text));
  const status = row.failing_since ? "failing" : row.status;
  return found && (!wanted.status || wanted.status === status);
}

function filters(changed) {
  const text = h("input", { type: "search", "aria-label": "Find bots", placeholder: "Name, symbol, strategy", value: wanted.text, oninput: () => set({ text: text.value }) });
  const choices = ["", "created", "running", "paused", "halted", "stopped", "failing"];
  const status = h(
    "select",
    { "aria-label": "Status", onchange: () => set({ status: status.value }) },
    choices.map((one) => h("option", { value: one, selected: one === wanted.status }, one ? one[0].toUpperCase() + one.slice(1) : "Any status")),
  );
  return h("div", { class: "filters" }, text, status);

  function set(change) {
    wanted = { ...wanted, ...change };
    changed();
  }
}

function totalFigures(rows) {
  if (!rows.length) return null;
  const quotes = [...new Set(rows.map((row) => row.quote))].sort();
  const running = rows.filter((row) => row.status === "running").length;
  const positions = rows.reduce((sum, row) => sum + row.open_positions, 0);
  return h(
    "dl",
    { class: "figures" },
    quotes.map((quote) => worth(quote, rows.filter((row) => row.quote === quote && row.equity !== null))),
    cell("Running", [plain(String(running)), h("small", {}, `of ${count(rows.length, "bot")}`)]),
    cell("Open positions", plain(String(positions))),
  );
}

function worth(quote, rows) {
  const equity = add(...rows.map((row) => row.equity));
  const profit = add(...rows.map((row) => row.pnl ?? "0"));
  const earned = percentOf(profit, subtract(equity, profit), { sign: true });
  const tone = { "-1": "loss", 0: null, 1: "gain" }[signOf(profit)];
  return [
    cell(`Equity, ${quote}`, figure(equity)),
    cell(`Profit, ${quote}`, [figure(profit, { sign: true, tone: true }), earned !== null && h("small", { class: tone }, earned)]),
  ];
}

function cell(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function welcome() {
  return h(
    "div",
    { class: "empty" },
    h("strong", {}, "No bots yet"),
    may("trader") ? h("p", {}, h("a", { href: "#/bots/new" }, "Create the first one"), ". It trades on paper unless you give it an account.") : "Once somebody creates one, it is shown here.",
  );
}

function newButton() {
  return may("trader") && h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/bots/new" }, "New bot"));
}

function nameCell(row) {
  return h("span", { class: "name" }, h("a", { href: `#/bots/${row.bot_id}`, "data-key": row.bot_id }, row.name), h("span", { class: "soft", title: row.bot_id }, ` ${row.bot_id.slice(0, 8)}`));
}

export function statusChip(row) {
  if (row.failing_since) return h("span", { class: "chip failing", title: row.error }, "failing");
  const also = row.status === "running" && row.trading && row.trading !== "active" ? `, ${words(row.trading)}` : "";
  return h("span", { class: `chip ${also ? "caution" : row.status}` }, row.status + also);
}

function money(text, quote) {
  return text === null ? "\u2013" : [figure(text), h("span", { class: "soft unit" }, ` ${quote}`)];
}

function profitCell(row) {
  if (row.pnl === null) return "\u2013";
  return [figure(row.pnl, { sign: true, tone: true }), " ", row.total_return !== null && h("span", { class: "soft" }, percentOf(row.total_return, "1", { sign: true }))];
}

function marketCell(row) {
  const more = row.symbols.length - 2;
  return [row.symbols.slice(0, 2).join(", "), more > 0 && ` +${more}`, h("span", { class: "soft" }, ` ${row.live ? "live" : "paper"} \u00b7 ${row.timeframe}`)];
}
