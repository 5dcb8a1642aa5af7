// One bot: what it is worth, what the market did and it in it, what it holds, what it decided and why.

import { commands } from "./bot_commands.js";
import { equityChart, marketChart } from "./bot_charts.js";
import { decisions } from "./bot_decisions.js";
import { moneyFigures, orders, positions, trades } from "./bot_money.js";
import { advice, limits, setup, spending } from "./bot_side.js";
import { read, readFloor, reached, signedIn } from "./client.js";
import { h, panel, refill } from "./dom.js";
import { words } from "./figures.js";
import { statusChip } from "./fleet.js";
import { standingAlerts } from "./notices.js";

const CANDLES = 240;
const DECISIONS = 10;

export function bot(id) {
  const path = `/bots/${id}`;
  const parts = Object.fromEntries(["head", "notice", "figures", "positions", "decisions", "trades", "orders", "limits", "spending", "advice", "setup"].map((name) => [name, h("div")]));
  const equity = equityChart();
  const market = marketChart(() => loadMarket());
  const element = h("div", {}, parts.head, h("div", { "aria-busy": "true" }));
  const view = { title: id, element, load, wants: (event) => event.stream === `bot-${id}` || event.stream?.startsWith("alert") };
  let decided = DECISIONS;
  let seen = null;
  return view;

  async function load() {
    const floor = readFloor();
    const asked = read(path, floor);
    // What is not there is asked for once, and not in all of its parts.
    if (!view.loaded) await asked;
    const [found, portfolio, held, open, closed, profit, room] = await Promise.all([
      asked,
      read(`${path}/portfolio`, floor),
      read(`${path}/positions`, { limit: 100, ...floor }),
      read(`${path}/status`, floor),
      read(`${path}/trades`, { limit: 100, ...floor }),
      read(`${path}/profit`, floor),
      read(`${path}/risk`, floor),
    ]);
    // A reading may begin while the curve of the one before it is on its way.
    seen = { curve: [], ...seen, bot: found, portfolio, positions: withMarks(held.items, open.items), trades: closed.items, profit };
    view.title = found.name;
    document.title = `${found.name} \u00b7 oxbot`;
    if (!view.loaded) element.replaceChildren(parts.head, parts.notice, parts.figures, columns());
    view.loaded = true;
    refill(parts.head, heading(found));
    refill(parts.notice, trouble(found));
    refill(parts.positions, positions(seen));
    refill(parts.trades, trades(seen));
    refill(parts.limits, limits(room, found.quote));
    refill(parts.setup, setup(found));
    await Promise.all([loadCurve().then(loadMarket), loadDecisions(), loadAdvice(), standingAlerts({ concerns })]);
    reached(floor);
  }

  // Its own alerts and those of no bot are told here; those of other bots where they are shown.
  function concerns(alert) {
    return !alert.bot_id || alert.bot_id === id;
  }

  async function loadCurve() {
    const curve = (await read(`${path}/equity`, { points: 400 })).items;
    refill(parts.figures, moneyFigures({ ...seen, curve }));
    seen = { ...seen, curve };
    await equity.show({ curve, quote: seen.bot.quote });
  }

  // Before there is a point of the curve there is no candle either, and to ask for one would be an error.
  async function loadMarket() {
    const { symbols, venue, timeframe } = seen.bot;
    const symbol = market.choose(symbols);
    const candles = seen.curve.length === 0 ? [] : (await read("/candles", { symbol, venue, timeframe, limit: CANDLES })).items;
    await market.show({ ...seen, symbol, candles });
  }

  async function loadDecisions() {
    const [made, ordered] = await Promise.all([read(`${path}/decisions`, { limit: decided }), read(`${path}/orders`, { limit: 12 })]);
    refill(parts.decisions, decisions(made, path, moreDecisions));
    refill(parts.orders, orders(ordered.items));
  }

  async function moreDecisions() {
    decided = Math.min(500, decided * 3);
    await loadDecisions();
  }

  async function loadAdvice() {
    const [spent, asked] = await Promise.all([read(`${path}/spending`, { limit: 50 }), read(`${path}/advice`, { limit: 10 })]);
    refill(parts.spending, spending(spent.items));
    refill(parts.advice, advice(asked.items, path));
  }

  function columns() {
    return h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        panel("Equity", { flush: false, id: "equity" }, equity.element),
        panel("Market", { note: "Triangles mark entries (up) and exits (down), dashed lines what is held.", tools: market.tools, id: "market" }, market.element),
        panel("Open positions", { flush: true }, parts.positions),
        panel("Closed trades", { flush: true }, parts.trades),
        panel("Orders", { flush: true }, parts.orders),
      ),
      h(
        "div",
        {},
        panel("Decisions", { note: "What it decided, on what, and what the risk gate said.", flush: true }, parts.decisions),
        panel("Risk limits", { note: "How much room each leaves." }, parts.limits),
        panel("Advice", { note: "What models were asked and said.", flush: true }, parts.advice),
        panel("Model spend", { flush: true }, parts.spending),
        panel("Set-up", {}, parts.setup),
      ),
    );
  }

  function heading(found) {
    const place = found.account ? `live on ${found.account}` : "on paper";
    return h(
      "div",
      { class: "head" },
      h(
        "div",
        {},
        h("p", { class: "crumb" }, h("a", { href: "#/", "data-key": "crumb" }, "Fleet")),
        h("h1", { tabindex: "-1" }, found.name),
        h("p", { class: "lede" }, statusChip(found), ` ${words(found.strategy)} on ${found.symbols.join(", ")}, ${found.timeframe} candles of ${found.venue}, ${place}`),
      ),
      signedIn() && commands(found, { held: () => seen.positions, done: () => load() }),
    );
  }
}

function withMarks(held, open) {
  const marks = new Map(open.map((one) => [one.pair, one]));
  return held.map((one) => ({ ...one, mark: marks.get(one.symbol)?.current_rate ?? null, profit: marks.get(one.symbol)?.profit_abs ?? null, profit_ratio: marks.get(one.symbol)?.profit_ratio ?? null }));
}

function trouble(found) {
  if (found.failing_since) return notice(`It has failed since ${found.failing_since.slice(0, 16).replace("T", " ")}`, found.error);
  if (found.status === "halted") return notice("It is halted", found.halted);
  return null;
}

function notice(title, text) {
  return h("div", { class: "notices" }, h("div", { class: "notice bad" }, h("strong", {}, title), h("span", {}, text)));
}
