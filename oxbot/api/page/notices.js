// What needs somebody's attention: alerts that stand, projections that are held up or behind.

import { may, onSession, read } from "./client.js";
import { h, say } from "./dom.js";
import { ago, count, moment, words } from "./figures.js";

const LAG_SECONDS_MAX = 10;
const SHOWN_MAX = 5;
export const STANDING_MAX = 100;

// What stands is told to screen readers when it comes and when it goes: by position what was said of it, and by whom it
// was read last; who signs in anew is told of nothing that stood before.
let standing = null;
onSession((session) => {
  if (!session) standing = null;
});

export async function notices() {
  const [alerts, projections] = await Promise.all([standingAlerts(), may("admin") ? read("/projections") : { items: [] }]);
  const lines = [...alerts.map(alertLine), ...projections.items.map(projectionLine)].filter(Boolean);
  if (!lines.length) return null;
  const more = lines.length - SHOWN_MAX;
  return h(
    "section",
    { class: "notices", "aria-label": "What needs attention" },
    lines.slice(0, SHOWN_MAX),
    more > 0 && h("p", { class: "small" }, h("a", { href: "#/system" }, `${count(more, "more")}`)),
  );
}

export async function standingAlerts(whose = {}) {
  const { items } = await read("/alerts", { open: true, limit: STANDING_MAX });
  announce(items, whose);
  return items;
}

// Says what is new among alerts of which those that go on come first, and what goes on no more; the first time nothing. What
// does not concern a view is left as it was, to be told where it does.
export function announce(alerts, { concerns = () => true } = {}) {
  const now = new Map(alerts.filter((one) => !one.until).map((one) => [one.position, one]));
  const before = standing;
  if (!before) {
    standing = now;
    return;
  }
  const begun = [...now.values()].filter((one) => concerns(one) && !before.has(one.position));
  // Of what a full list has no room for it is not known whether it is over.
  const ended = now.size < STANDING_MAX ? [...before.values()].filter((one) => concerns(one) && !now.has(one.position)) : [];
  const told = new Map([...now].filter(([position, one]) => concerns(one) || before.has(position)));
  const owed = [...before].filter(([position, one]) => !concerns(one) && !now.has(position));
  standing = new Map([...told, ...owed]);
  const grave = begun.filter((one) => one.level === "failure");
  const others = begun.filter((one) => one.level !== "failure");
  if (grave.length) say(grave.map((one) => `Alert: ${sentence(one)}`).join(" "), { urgent: true });
  const quiet = [...others.map((one) => `Alert: ${sentence(one)}`), ...ended.map((one) => `Over: ${sentence(one)}`)];
  if (quiet.length) say(quiet.join(" "));
}

function sentence(alert) {
  return `${words(alert.rule)}, ${wordsOf(alert)}.`;
}

// What an alert says beside its rule, which some say once more at the beginning.
export function wordsOf(alert) {
  const rule = `${words(alert.rule)}: `;
  return alert.words.startsWith(rule) ? alert.words.slice(rule.length) : alert.words;
}

function alertLine(alert) {
  return h(
    "div",
    { class: alert.level === "failure" ? "notice bad" : "notice" },
    h("strong", {}, words(alert.rule)),
    h("span", {}, wordsOf(alert)),
    alert.bot_id && h("a", { href: `#/bots/${alert.bot_id}` }, alert.bot_id),
    moment(alert.since),
  );
}

function projectionLine(projection) {
  const { serving } = projection;
  if (serving.stopped) {
    return h("div", { class: "notice bad" }, h("strong", {}, `The projection ${projection.name} is stopped`), h("span", {}, `at position ${serving.stopped.position}: ${serving.stopped.error}`));
  }
  if (serving.lag_events > 0 && serving.lag_seconds > LAG_SECONDS_MAX) {
    return h("div", { class: "notice" }, h("strong", {}, `The projection ${projection.name} is behind`), h("span", {}, `by ${count(serving.lag_events, "event")}, ${ago(serving.lag_seconds)}`));
  }
  return null;
}
