// Charts by plotly, fetched when the first one is wanted; each with its numbers as a table beside it.

import { colours, onTheme } from "./appearance.js";
import { h } from "./dom.js";
import { framed, table } from "./tables.js";

const MAPS_STYLE_ID = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
const ROWS_SHOWN = 60;
const drawn = new Set();
let loading = null;

function library() {
  loading ??= new Promise((resolve, reject) => {
    const source = document.querySelector('meta[name="oxbot-charts"]').content;
    const policy = window.trustedTypes?.createPolicy("oxbot", { createScriptURL: (url) => checked(url, source) });
    // The library's maps would bring an inline style sheet, which the page's policy forbids; with this they think it is there.
    document.head.append(h("meta", { id: MAPS_STYLE_ID, name: "oxbot-no-maps" }));
    const script = h("script", { async: true });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("the charts' library did not load")));
    script.src = policy ? policy.createScriptURL(source) : source;
    document.head.append(script);
  });
  return loading;
}

function checked(url, source) {
  if (url !== source) throw new TypeError("the page loads no other script");
  return url;
}

// A chart that is drawn again with `show(data)`: traces(data, colours), a sentence about it, and a table of it.
export function chart({ label, tall = false, traces, describe, columns, rows, layout = () => ({}) }) {
  const plot = h("div", { class: tall ? "plot tall" : "plot", "aria-hidden": "true", "data-empty": "Drawing\u2026" });
  const caption = h("figcaption", { class: "visually-hidden" }, label);
  const numbers = h("details", { "data-key": `numbers-${label}` }, h("summary", {}, "The numbers as a table"));
  const element = h("figure", { class: "chart" }, caption, plot, numbers);
  let shown = null;
  let busy = false;
  let again = false;
  numbers.addEventListener("toggle", tabulate);

  const handle = { element, show, redraw: () => shown && show(shown) };
  drawn.add(handle);
  return handle;

  async function show(data) {
    shown = data;
    caption.textContent = `${label}. ${describe(data)}`;
    tabulate();
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const plotly = await library();
      if (element.isConnected) await plotly.react(plot, traces(shown, colours()), frame(layout(shown, colours()), plot.clientWidth), SETTINGS);
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      await show(shown);
    }
  }

  function tabulate() {
    numbers.querySelector(".scroll")?.remove();
    if (!numbers.open || !shown) return;
    const found = rows(shown);
    const title = `${label}, the newest ${Math.min(found.length, ROWS_SHOWN)} of ${found.length}`;
    numbers.append(framed(title, table(title, columns, found.slice(-ROWS_SHOWN).reverse())));
  }
}

export async function clearCharts() {
  for (const handle of drawn) {
    const plot = handle.element.querySelector(".plot");
    if (plot.classList.contains("js-plotly-plot")) window.Plotly.purge(plot);
  }
  drawn.clear();
}

onTheme(() => {
  for (const handle of drawn) handle.redraw();
});

const SETTINGS = { displayModeBar: false, responsive: true, scrollZoom: false, showTips: false, doubleClick: "reset" };

function frame(own, width) {
  const theme = colours();
  const axis = { gridcolor: theme.line, linecolor: theme.line, zeroline: false, tickfont: { color: theme["ink-soft"], size: 11 }, automargin: false, fixedrange: true };
  const { xaxis, yaxis, ...rest } = own;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: theme.ink },
    margin: { l: 12, r: 62, t: 8, b: 40 },
    showlegend: false,
    hovermode: "x",
    dragmode: false,
    hoverlabel: { bgcolor: theme.surface, bordercolor: theme.line, font: { color: theme.ink, size: 12 } },
    separators: ".,",
    xaxis: { ...axis, type: "date", showgrid: false, rangeslider: { visible: false }, showspikes: true, spikethickness: 1, spikedash: "solid", spikemode: "across", spikecolor: theme.line, hoverformat: "%Y-%m-%d %H:%M", nticks: width < 480 ? 3 : 7, tickangle: 0, tickformat: "%H:%M\n%d %b", ...xaxis },
    yaxis: { ...axis, side: "right", tickformat: ",", nticks: 6, ...yaxis },
    ...rest,
  };
}
