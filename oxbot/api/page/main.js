// The page: who is signed in, which view is shown, and how fresh it is.

import { applyTheme, themeButton } from "./appearance.js";
import { bot } from "./bot.js";
import { clearCharts } from "./charts.js";
import { Problem, lagEvents, may, onSession, resume, signOut, signedIn } from "./client.js";
import { byId, fill, h, nothing, say } from "./dom.js";
import { door } from "./door.js";
import { fleet } from "./fleet.js";
import { count, plain } from "./figures.js";
import { Live } from "./live.js";
import { newBot } from "./new_bot.js";
import { system } from "./system.js";

const ROUTES = [
  [/^#\/bots\/new$/, () => newBot()],
  [/^#\/bots\/([a-z0-9][a-z0-9-]{0,63})$/, (id) => bot(id)],
  [/^#\/system$/, () => system()],
  [/^(#\/?)?$/, () => fleet()],
];
const REFRESH_MS = 1_500;
const POLL_MS = 20_000;
const STATES = {
  live: ["Live", "Live: what happens is shown as it is recorded."],
  waiting: ["Connecting", "Connecting to the live stream."],
  lost: ["Not live", "The live stream is lost. The page keeps trying, and looks again every 20 seconds."],
  off: ["", ""],
};

let view = null;
let turn = 0;
let user = null;
let refreshing = 0;
let loading = null;
let dirty = false;
let moving = false;
const link = h("span", { class: "link", id: "link", role: "status" });
const live = new Live({ onEvent: noticed, onState: connection, onPosition: moved });

function bar() {
  const current = location.hash;
  const item = (href, text, here) => h("li", {}, h("a", { href, "aria-current": here ? "page" : null }, text));
  const mark = document.querySelector('link[rel="icon"]').href;
  fill(
    byId("bar"),
    h("a", { class: "brand", href: "#/" }, h("img", { src: mark, alt: "", width: 26, height: 26 }), "oxbot"),
    user &&
      h(
        "nav",
        { "aria-label": "Views" },
        h(
          "ul",
          {},
          item("#/", "Fleet", /^(#\/?)?$/.test(current) || /^#\/bots\/(?!new$)/.test(current)),
          may("trader") && item("#/bots/new", "New bot", current === "#/bots/new"),
          item("#/system", "System", current === "#/system"),
        ),
      ),
    h(
      "div",
      { class: "tools" },
      user && link,
      themeButton(),
      user && h("span", { class: "soft small who" }, user.username),
      user && h("button", { type: "button", class: "quiet", onclick: leave }, "Sign out"),
    ),
  );
}

async function leave() {
  await signOut();
  say("You are signed out.");
}

// A view: {title, element, load() -> Promise, wants(event) -> boolean}, and `missing` once what it is of was not there: it
// is read again only if it is heard of.
async function show({ focus = true } = {}) {
  turn += 1;
  const mine = turn;
  clearTimeout(refreshing);
  refreshing = 0;
  dirty = false;
  await clearCharts();
  view = user ? routed() : door();
  bar();
  document.title = view.title === "oxbot" ? view.title : `${view.title} \u00b7 oxbot`;
  fill(byId("main"), view.element);
  if (user) live.follow();
  if (focus) window.scrollTo(0, 0);
  loading = load(mine);
  await loading;
  if (mine === turn && focus) (byId("main").querySelector("h1") ?? byId("main")).focus({ preventScroll: true });
}

function routed() {
  for (const [pattern, make] of ROUTES) {
    const found = pattern.exec(location.hash);
    if (found) return make(...found.slice(1));
  }
  return { title: "Nothing here", element: h("div", {}, h("h1", { tabindex: "-1" }, "Nothing here"), nothing(null, "There is no such view.")) };
}

async function load(mine) {
  const shown = view;
  try {
    await shown.load?.();
    shown.missing = false;
    // What is recorded and not yet in the views comes by no event any more: look again.
    if (mine === turn && lagEvents() > 0 && shown.load && !shown.still) refreshSoon();
  } catch (problem) {
    if (mine !== turn || !(problem instanceof Problem)) {
      if (!(problem instanceof Problem)) throw problem;
      return;
    }
    if (problem.status === 401) return;
    if (shown.loaded) return;
    shown.missing = problem.status === 404;
    const title = shown.missing ? "There is no such bot" : "This could not be read";
    const back = h("p", {}, h("a", { href: "#/" }, "Back to the fleet"));
    fill(shown.element, h("h1", { tabindex: "-1" }, title), h("p", { class: "lede" }, problem.message), back);
  }
}

function noticed(event) {
  if (!(view?.wants?.(event) ?? false)) return;
  view.missing = false;
  refreshSoon();
}

// The view is read again shortly after something happened, never twice at once and never more often than that.
function refreshSoon(delay = REFRESH_MS) {
  if (refreshing) {
    dirty = true;
    return;
  }
  const mine = turn;
  refreshing = setTimeout(async () => {
    await loading;
    if (mine !== turn) return;
    dirty = false;
    if (!document.hidden && !view.missing) await load(turn);
    refreshing = 0;
    if (dirty) refreshSoon();
  }, delay);
}

function looksAgain() {
  return view?.load && !view.still && !view.missing;
}

setInterval(() => user && looksAgain() && refreshSoon(0), POLL_MS);

function connection(state) {
  const [text, title] = STATES[state];
  if (link.dataset.state !== state) {
    link.dataset.state = state;
    link.title = title;
    fill(link, text);
    if (state === "live" && looksAgain()) refreshSoon(0);
  }
}

// The position in the log is at the foot; it moves with every event, so it is written once per frame at most.
function moved(position) {
  if (!moving) requestAnimationFrame(() => write(position));
  moving = true;
}

function write(position) {
  moving = false;
  if (!user) return;
  fill(byId("foot"), h("span", {}, "Log position ", h("span", { id: "position" }, plain(String(live.position ?? position)))), h("span", {}, lagText(lagEvents())), h("span", {}, "Times are UTC"));
}

function lagText(events) {
  return events ? `Views ${count(events, "event")} behind` : "Views up to date";
}

onSession((session) => {
  const changed = (session?.userId ?? null) !== (user?.userId ?? null);
  user = session;
  if (!changed) return;
  if (!user) {
    live.stop();
    fill(byId("foot"));
    if (location.hash) history.replaceState(null, "", location.pathname);
  }
  show();
});

addEventListener("hashchange", () => show());
applyTheme();
if (!(await resume()) && !signedIn()) await show({ focus: false });
