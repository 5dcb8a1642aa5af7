// A new bot: its name, what it trades, what it decides by, and how far it may go.

import { Problem, command, may, read } from "./client.js";
import { fill, h, nothing, say, toast } from "./dom.js";
import { checksField, parameterField, selectField, textField } from "./fields.js";
import { words } from "./figures.js";

const WHOLE = new Set(["positions", "entries", "candles", "trades"]);
const NAME_MAX = 64;

export function newBot() {
  const body = h("div");
  const head = h("div", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/" }, "Fleet")), h("h1", { tabindex: "-1" }, "New bot"), h("p", { class: "lede" }, "It trades once you start it, on paper unless you give it an account at a venue.")));
  return { title: "New bot", element: h("div", {}, head, body), load, still: true };

  async function load() {
    if (!may("trader")) {
      fill(body, nothing(null, "Your role does not allow this."));
      return;
    }
    const [strategies, limits, symbols, accounts] = await Promise.all([read("/strategies"), read("/risk/limits"), offeredSymbols(), read("/offered-accounts")]);
    fill(body, form(strategies.items, limits.items, symbols, accounts.items));
  }
}

// The symbols of which there are candles; before there are any, they have to be typed.
async function offeredSymbols() {
  const venues = await read("/venues");
  return [...new Set(venues.items.flatMap((venue) => venue.series.map((one) => one.symbol)))].sort();
}

function form(strategies, limits, offered, accounts) {
  const name = textField("name", "Name", { required: true, maxlength: NAME_MAX, hint: "What people will call it." });
  const symbols = offered.length
    ? checksField("symbols", "Symbols", offered, { values: offered.slice(0, 1) })
    : textField("symbols", "Symbols", { value: "BTC/USDT", required: true, hint: "With commas between, such as BTC/USDT, ETH/USDT." });
  const capital = textField("capital", "Capital", { value: "10000", inputmode: "decimal", hint: "In the quote currency of its symbols." });
  const account = accounts.length ? accountField(accounts) : null;
  const chosen = strategies.find((one) => one.name === "ema_cross") ?? strategies[0];
  const strategy = selectField("strategy", "Strategy", strategies.map((one) => [one.name, words(one.name)]), { value: chosen.name, hint: chosen.summary, onchange: turn });
  const place = h("div", { class: "fields", "aria-live": "polite" });
  const bounds = limits.filter((row) => row.limit && !row.limit.includes(".")).map(limitField);
  const problem = h("p", { class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: "primary" }, "Create bot");
  const start = h("button", { type: "submit", value: "start" }, "Create and start");
  let parameters = [];
  turn();
  return h(
    "form",
    { class: "panel", novalidate: true, onsubmit: submit, "aria-label": "New bot" },
    h("div", { class: "section" }, h("h2", {}, "The bot"), h("div", { class: "fields" }, name.element, capital.element, symbols.element, account?.element)),
    h("div", { class: "section" }, h("h2", {}, "What it decides by"), h("p", {}, "Every strategy says what its parameters mean and may be."), strategy.element, place),
    h("div", { class: "section" }, h("h2", {}, "How far it may go"), h("details", {}, h("summary", {}, "Risk limits"), h("p", { class: "soft" }, "Left empty, a limit is as it is by default."), h("div", { class: "fields" }, bounds.map((one) => one.element)))),
    h("div", { class: "section" }, problem, h("div", { class: "actions" }, go, start, h("a", { class: "button", href: "#/" }, "Cancel"))),
  );

  async function turn() {
    const found = await read(`/strategies/${encodeURIComponent(strategy.value())}`);
    if (found.name !== strategy.value()) return;
    strategy.element.querySelector(".hint").textContent = found.summary;
    parameters = found.parameters.map((one) => parameterField(one, found.schema.properties?.[one.name]));
    fill(place, parameters.map((one) => one.element));
  }

  async function submit(event) {
    event.preventDefault();
    const wrong = faults();
    fill(problem);
    if (wrong) {
      wrong.focus();
      say("Some fields need another value.", { urgent: true });
      return;
    }
    for (const button of [go, start]) button.disabled = true;
    try {
      const created = (await command("/bots", asked())).body;
      if (event.submitter?.value === "start") await command(`/bots/${created.bot_id}/start`);
      toast(`${name.value()} is created.`);
      location.hash = `#/bots/${created.bot_id}`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(problem, error.message);
    } finally {
      for (const button of [go, start]) button.disabled = false;
    }
  }

  function faults() {
    name.complain(name.value() ? "" : "Say a name.");
    symbols.complain(chosenSymbols().length ? "" : "Choose at least one symbol.");
    capital.complain(/^\d+(\.\d+)?$/.test(capital.value()) ? "" : "This must be a number above 0.");
    for (const one of parameters) one.check();
    return [name, capital, symbols, ...parameters].find((one) => one.input?.getAttribute("aria-invalid") === "true")?.input ?? (chosenSymbols().length ? null : symbols.input);
  }

  function chosenSymbols() {
    const value = symbols.value();
    return Array.isArray(value) ? value : value.split(",").map((one) => one.trim()).filter(Boolean);
  }

  function asked() {
    const limited = Object.fromEntries(bounds.filter((one) => one.value()).map((one) => [one.name, one.wire()]));
    return {
      name: name.value(),
      symbols: chosenSymbols(),
      capital: capital.value(),
      strategy: strategy.value(),
      ...(account?.value() ? { account: account.value() } : {}),
      parameters: Object.fromEntries(parameters.filter((one) => one.changed()).map((one) => [one.name, one.value()])),
      ...(Object.keys(limited).length ? { limits: limited } : {}),
    };
  }
}

// Where its orders go: on paper, unless one of the accounts is chosen that its maker may name.
function accountField(accounts) {
  const choices = [["", "Paper: no real money"], ...accounts.map((one) => [one.account, `${one.account} (${one.venue}${one.demo ? ", demo" : ""})`])];
  const field = selectField("account", "Account", choices, { value: "", hint: " ", onchange: turn });
  field.element.querySelector(".hint").setAttribute("aria-live", "polite");
  turn();
  return field;

  function turn() {
    const chosen = accounts.find((one) => one.account === field.value());
    fill(field.element.querySelector(".hint"), chosen ? liveHint(chosen) : "Its fills are worked out from the market as it is recorded.");
  }
}

function liveHint(account) {
  const now = account.obstacles.length ? ` Nothing enters there now: ${account.obstacles.join("; ")}.` : "";
  return `Its orders go to the venue, once an administrator has armed it.${now}`;
}

function limitField(row) {
  const field = textField(row.limit, words(row.limit), { inputmode: "decimal", maxlength: 40, placeholder: row.default, hint: `${row.meaning} (${row.unit}, ${row.bounds})` });
  const wire = () => (WHOLE.has(row.unit) && /^\d{1,15}$/.test(field.value()) ? Number(field.value()) : field.value());
  return { ...field, wire };
}
