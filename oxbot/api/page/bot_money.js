// What a bot is worth, holds, has ordered and has earned.

import { h } from "./dom.js";
import { compare, figure, moment, percentOf, plain, signOf, subtract, words } from "./figures.js";
import { framedTable } from "./tables.js";

export function moneyFigures({ portfolio, profit, curve }) {
  const equity = curve.at(-1)?.equity ?? portfolio.cash;
  const capital = subtract(portfolio.deposits, portfolio.withdrawals);
  const earned = subtract(equity, capital);
  const part = percentOf(earned, capital, { sign: true });
  const tone = { "-1": "loss", 0: null, 1: "gain" }[signOf(earned)];
  return h(
    "dl",
    { class: "figures" },
    cell(`Equity, ${portfolio.quote}`, figure(equity)),
    cell("Profit", [figure(earned, { sign: true, tone: true }), part !== null && h("small", { class: tone }, part)]),
    cell("Max drawdown", [profit.max_drawdown === null ? "\u2013" : percentOf(profit.max_drawdown, "1"), compare(profit.max_drawdown_abs, "0") !== 0 && h("small", {}, figure(profit.max_drawdown_abs))]),
    cell("Trades", [plain(String(profit.closed_trade_count)), profit.winrate !== null && h("small", {}, `${percentOf(profit.winrate, "1")} won`)]),
    cell("Free", [figure(portfolio.free), compare(portfolio.reserved, "0") !== 0 && h("small", {}, plain(portfolio.reserved), " reserved")]),
    cell("Fees paid", figure(portfolio.fees)),
  );
}

function cell(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

const POSITIONS = [
  { title: "Symbol", wrap: true, cell: (row) => [row.symbol, row.kind === "perpetual" && h("span", { class: "tag" }, `${plain(row.leverage)}\u00d7`)] },
  { title: "Side", cell: (row) => row.side },
  { title: "Quantity", number: true, cell: (row) => plain(row.quantity) },
  { title: "Entry", number: true, cell: (row) => plain(row.entry_price) },
  { title: "Now", number: true, cell: (row) => (row.mark === null ? "\u2013" : plain(row.mark)) },
  { title: "Profit", number: true, cell: (row) => (row.profit === null ? "\u2013" : figure(row.profit, { sign: true, tone: true })) },
  { title: "Stop", number: true, cell: (row) => (row.stop_price === null ? "\u2013" : plain(row.stop_price)) },
  { title: "Target", number: true, cell: (row) => (row.target_price === null ? "\u2013" : plain(row.target_price)) },
  { title: "Since", cell: (row) => moment(row.entry_time) },
];

export function positions({ positions: held }) {
  return framedTable("Open positions", POSITIONS, held, { kind: "stacked wide", key: (row) => row.symbol, emptyText: "It holds nothing." });
}

const TRADES = [
  { title: "Closed", cell: (row) => moment(row.exit_time) },
  { title: "Symbol", wrap: true, cell: (row) => row.symbol },
  { title: "Side", cell: (row) => row.side },
  { title: "Quantity", number: true, cell: (row) => plain(row.quantity) },
  { title: "Entry", number: true, cell: (row) => plain(row.entry_price) },
  { title: "Exit", number: true, cell: (row) => plain(row.exit_price) },
  { title: "Net", number: true, cell: (row) => figure(row.net, { sign: true, tone: true }) },
  { title: "Why", wrap: true, cell: (row) => words(row.reason) },
];

export function trades({ trades: closed }) {
  return framedTable("Closed trades, newest first", TRADES, closed.slice(0, 15), { kind: "stacked wide", key: (row) => row.number, emptyText: "It has closed no trade yet." });
}

const ORDERS = [
  { title: "Order", cell: (row) => `#${row.number}` },
  { title: "Asked", cell: (row) => moment(row.requested_at) },
  { title: "Symbol", wrap: true, cell: (row) => row.symbol },
  { title: "What", wrap: true, cell: (row) => `${row.side} ${words(row.kind)}` },
  { title: "Why", wrap: true, cell: (row) => words(row.reason) },
  { title: "Quantity", number: true, cell: (row) => (row.quantity === null ? "\u2013" : plain(row.quantity)) },
  { title: "Price", number: true, cell: (row) => plain(row.average_price ?? row.limit_price ?? row.trigger_price) || "\u2013" },
  { title: "Status", cell: (row) => h("span", { title: row.note || null }, words(row.status)) },
];

export function orders(found) {
  return framedTable("Orders, newest first", ORDERS, found.slice(0, 15), { kind: "stacked wide", key: (row) => row.order_id, emptyText: "It has ordered nothing yet." });
}
