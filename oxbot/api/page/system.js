// The system: how far the views are, what was raised, which venues and accounts there are, what models cost.

import { may, read, readAll } from "./client.js";
import { h, panel, refill } from "./dom.js";
import { ago, figure, moment, plain, words } from "./figures.js";
import { STANDING_MAX, announce, wordsOf } from "./notices.js";
import { framedTable } from "./tables.js";

// What of a bot's may begin or end an alert.
const TELLING = /^(order\.(in_doubt|accepted|rejected|triggered|filled|cancelled|expired)|bot\.(halted|started|stopped)|trading_state\.|position\.liquidated)/;

export function system() {
  const body = h("div", { class: "columns-all" });
  const element = h("div", {}, h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, "System"))), body);
  const view = { title: "System", element, load, wants: (event) => !event.stream?.startsWith("bot-") || TELLING.test(event.type) };
  return view;

  async function load() {
    const [alerts, projections, models, accounts, venues] = await Promise.all([
      read("/alerts", { limit: STANDING_MAX }),
      may("admin") ? read("/projections") : { items: [] },
      may("admin") ? readAll("/models", { limit: 100 }) : [],
      may("admin") ? read("/venue-accounts") : { items: [] },
      read("/venues"),
    ]);
    announce(alerts.items);
    const series = venues.items.flatMap((venue) => venue.series.map((one) => ({ ...one, venue: venue.venue, clock: venue.clock })));
    refill(
      body,
      h(
        "div",
        { class: "pair" },
        panel("Alerts", { note: "What goes on comes first, then the newest.", flush: true }, framedTable("Alerts", ALERTS, alerts.items, { kind: "stacked", emptyText: "Nothing was ever wrong." })),
        may("admin") && panel("Projections", { note: "How far the tables that are read are behind the log.", flush: true }, framedTable("Projections", PROJECTIONS, projections.items, { kind: "stacked" })),
        panel("Venues", { note: "How old the newest candle of each symbol is; a market that is played goes by its own time.", flush: true }, framedTable("Venues", VENUES, series, { kind: "stacked", emptyText: "There are no candles yet." })),
        may("admin") && panel("Models", { note: "What calls cost, in US dollars.", flush: true }, framedTable("Models", MODELS, models, { kind: "stacked", emptyText: "No model was ever asked." })),
        may("admin") && panel("Accounts at venues", { note: "Where orders with real money may go.", flush: true }, framedTable("Accounts at venues", ACCOUNTS, accounts.items, { kind: "stacked", emptyText: "There is none: every bot trades on paper." })),
      ),
    );
    view.loaded = true;
  }
}

// A market that is played is at a time of its own, of which ours says nothing.
function ageCell(row) {
  if (row.clock === "own") return "played, its own time";
  return row.age_seconds === null ? "\u2013" : ago(row.age_seconds);
}

const ALERTS = [
  { title: "What", wrap: true, cell: (row) => [h("span", { class: `chip ${row.until ? "" : row.level === "failure" ? "bad" : "caution"}` }, words(row.rule)), " ", h("span", { class: "said" }, wordsOf(row))] },
  { title: "Whose", wrap: true, cell: (row) => (row.bot_id ? h("a", { href: `#/bots/${row.bot_id}` }, row.subject) : row.subject) },
  { title: "Since", cell: (row) => moment(row.since) },
  { title: "Until", cell: (row) => (row.until ? moment(row.until) : "it goes on") },
];

const PROJECTIONS = [
  { title: "Projection", wrap: true, cell: (row) => words(row.name) },
  { title: "State", cell: (row) => h("span", { class: `chip ${{ running: "good", stopped: "bad" }[row.state] ?? "caution"}` }, words(row.state)) },
  { title: "Position", number: true, cell: (row) => plain(String(row.serving.position)) },
  { title: "Behind", number: true, cell: (row) => (row.serving.lag_events > 0 ? `${plain(String(row.serving.lag_events))} (${ago(row.serving.lag_seconds)})` : "0") },
];

const VENUES = [
  { title: "Symbol", wrap: true, cell: (row) => [row.symbol, h("span", { class: "soft" }, ` ${row.timeframe}`), h("span", { class: "soft below" }, row.venue)] },
  { title: "Newest candle", cell: (row) => moment(row.newest) },
  { title: "Age", number: true, cell: ageCell },
  { title: "Feed", cell: (row) => (row.stale_since ? h("span", { class: "chip bad" }, "stale since ", row.stale_since.slice(0, 16).replace("T", " ")) : h("span", { class: "chip good" }, "no fault")) },
];

const MODELS = [
  { title: "Model", wrap: true, cell: (row) => row.model },
  { title: "Calls", number: true, cell: (row) => plain(String(row.calls)) },
  { title: "Cost", number: true, cell: (row) => figure(row.cost) },
  { title: "Last called", cell: (row) => moment(row.last_called_at) },
  { title: "Closed", wrap: true, cell: (row) => row.closed.map((one) => `${one.cause}: ${one.detail}`).join("; ") || "no" },
];

const ACCOUNTS = [
  { title: "Account", wrap: true, cell: (row) => row.account },
  { title: "Venue", wrap: true, cell: (row) => row.venue },
  { title: "Armed until", cell: (row) => moment(row.armed_until) },
  { title: "Entries", wrap: true, cell: (row) => row.obstacles.join("; ") || "let through" },
];
