// A bot's equity, and the market with what the bot did in it.

import { chart } from "./charts.js";
import { fill, h } from "./dom.js";
import { percentOf, plain, signOf, subtract } from "./figures.js";

// A chart has room for about fifteen digits, and needs no more; tables beside it have them all.
const place = (text) => Number(text);
const shortTime = (text) => text.slice(0, 16).replace("T", " ");

export function equityChart() {
  return chart({
    label: "Equity over time",
    describe: ({ curve, quote }) => {
      if (curve.length < 2) return "There are no points yet.";
      const [first, last] = [curve[0], curve.at(-1)];
      const change = percentOf(subtract(last.equity, first.equity), first.equity, { sign: true });
      return `From ${plain(first.equity)} ${quote} at ${shortTime(first.at)} to ${plain(last.equity)} ${quote} at ${shortTime(last.at)}${change === null ? "" : `, ${change}`}.`;
    },
    traces: ({ curve }, theme) => {
      const rising = curve.length < 2 || signOf(subtract(curve.at(-1).equity, curve[0].equity)) >= 0;
      const line = rising ? theme.gain : theme.loss;
      return [
        {
          type: "scatter",
          mode: curve.length > 1 ? "lines" : "markers",
          x: curve.map((one) => one.at),
          y: curve.map((one) => place(one.equity)),
          line: { color: line, width: 1.75 },
          marker: { color: line, size: 5 },
          text: curve.map((one) => plain(one.equity)),
          hovertemplate: "%{text}<extra></extra>",
        },
      ];
    },
    layout: ({ curve }, theme) => ({ shapes: curve.length ? [level(place(curve[0].equity), theme["ink-soft"], "dot")] : [] }),
    columns: [
      { title: "Time (UTC)", cell: (row) => shortTime(row.at) },
      { title: "Equity", number: true, cell: (row) => plain(row.equity) },
      { title: "Cash", number: true, cell: (row) => plain(row.cash) },
    ],
    rows: ({ curve }) => curve,
  });
}

export function marketChart(changed) {
  let chosen = null;
  const tools = h("div", { class: "segments", role: "group", "aria-label": "Symbol", hidden: true });
  const drawn = chart({
    label: "Market with entries, exits and stops",
    tall: true,
    describe: ({ symbol, candles, trades, positions }) => {
      if (!candles.length) return "There are no candles yet.";
      const last = candles.at(-1);
      const closed = trades.filter((one) => one.symbol === symbol).length;
      const held = positions.find((one) => one.symbol === symbol);
      return `${symbol}, ${candles.length} candles, the last at ${shortTime(timeOf(last))} closing at ${plain(last.close)}. ${closed} closed trades. ${held ? `Holding ${plain(held.quantity)} ${held.side} from ${plain(held.entry_price)}.` : "No open position."}`;
    },
    traces: marketTraces,
    layout: marketLayout,
    columns: [
      { title: "Opened (UTC)", cell: (row) => shortTime(timeOf(row)) },
      ...["open", "high", "low", "close"].map((name) => ({ title: name[0].toUpperCase() + name.slice(1), number: true, cell: (row) => plain(row[name]) })),
      { title: "Volume", number: true, cell: (row) => plain(row.volume) },
    ],
    rows: ({ candles }) => candles,
  });
  return { ...drawn, tools, choose };

  function choose(symbols) {
    if (!symbols.includes(chosen)) chosen = symbols[0];
    tools.hidden = symbols.length < 2;
    const buttons = symbols.map((symbol) => h("button", { type: "button", "data-key": symbol, "aria-pressed": String(symbol === chosen), onclick: () => turn(symbol, symbols) }, symbol));
    if (tools.childElementCount !== symbols.length) fill(tools, buttons);
    return chosen;
  }

  function turn(symbol, symbols) {
    chosen = symbol;
    for (const button of tools.children) button.setAttribute("aria-pressed", String(button.dataset.key === symbol));
    choose(symbols);
    changed();
  }
}

function timeOf(candle) {
  return candle.at;
}

function marketTraces({ symbol, candles, trades, positions }, theme) {
  const from = candles.length ? timeOf(candles[0]) : "";
  const mine = trades.filter((one) => one.symbol === symbol && one.exit_time >= from);
  const held = positions.filter((one) => one.symbol === symbol);
  const entries = [...mine, ...held].filter((one) => one.entry_time >= from);
  return [
    {
      type: "candlestick",
      x: candles.map(timeOf),
      ...Object.fromEntries(["open", "high", "low", "close"].map((name) => [name, candles.map((one) => place(one[name]))])),
      increasing: { line: { color: theme.gain, width: 1 }, fillcolor: theme.surface },
      decreasing: { line: { color: theme.loss, width: 1 }, fillcolor: theme.loss },
      whiskerwidth: 0,
      hoverinfo: "x+y",
      name: symbol,
    },
    marks("Entry", entries.map((one) => [one.entry_time, one.entry_price, `${one.side} entry`]), "triangle-up", theme.ink, theme),
    marks("Exit", mine.map((one) => [one.exit_time, one.exit_price, one.reason.replaceAll("_", " ")]), "triangle-down", theme.caution, theme),
  ];
}

function marks(name, points, symbol, colour, theme) {
  return {
    type: "scatter",
    mode: "markers",
    name,
    x: points.map(([at]) => at),
    y: points.map(([, price]) => place(price)),
    text: points.map(([, price, text]) => `${text} at ${plain(price)}`),
    hovertemplate: "%{text}<extra></extra>",
    marker: { symbol, size: 12, color: colour, line: { color: theme.surface, width: 2 } },
  };
}

function marketLayout({ symbol, positions }, theme) {
  const held = positions.find((one) => one.symbol === symbol);
  const levels = held ? [["stop", held.stop_price, theme.loss], ["target", held.target_price, theme.gain], ["entry", held.entry_price, theme.accent]] : [];
  const shown = levels.filter(([, price]) => price !== null);
  return {
    shapes: shown.map(([, price, colour]) => level(place(price), colour, "dash")),
    annotations: shown.map(([name, price, colour]) => ({ xref: "paper", x: 0, xanchor: "left", yanchor: "bottom", y: place(price), text: `${name} ${plain(price)}`, showarrow: false, font: { size: 11, color: colour } })),
    hovermode: "closest",
  };
}

function level(y, colour, dash) {
  return { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour, width: 1, dash } };
}
