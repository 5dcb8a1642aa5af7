// What can be told to a bot, each command only where it has a meaning; what cannot be taken back is asked about first.

import { Problem, command, may } from "./client.js";
import { h, toast } from "./dom.js";
import { ask } from "./dialogs.js";
import { choiceField, selectField, textField } from "./fields.js";

export function commands(bot, { held, done }) {
  if (!may("trader")) return null;
  const path = `/bots/${bot.bot_id}`;
  const holds = held().length > 0;
  const live = ["running", "paused", "halted"].includes(bot.status);
  return h(
    "div",
    { class: "actions", role: "group", "aria-label": "Commands" },
    bot.status === "created" && button("Start", () => now("start", "is started"), "primary"),
    bot.status === "running" && button("Pause", () => now("pause", "is paused: no new entries")),
    ["paused", "halted"].includes(bot.status) && button("Resume", () => now("resume", "is running again"), "primary"),
    live && holds && button("Force exit\u2026", forceExit),
    live && button("Stop\u2026", stop, "danger"),
    bot.status === "created" && button("Stop\u2026", stop, "danger"),
    bot.status === "stopped" && holds && button("Force exit\u2026", forceExit),
    bot.status === "stopped" && !holds && button("Archive\u2026", archive),
    (live || bot.status === "created") && button("Rename\u2026", rename, "quiet"),
  );

  function button(text, act, kind = null) {
    return h("button", { type: "button", class: kind, "data-key": `command-${text}`, onclick: act }, text);
  }

  async function now(name, outcome) {
    try {
      told((await command(`${path}/${name}`)).body, outcome);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      toast(problem.message, { bad: true });
    }
    await done();
  }

  function told(standing, outcome) {
    toast(`${bot.name} ${outcome}.${standing.note ? ` ${standing.note}` : ""}`);
  }

  function stop() {
    const policy = choiceField("policy", "What it holds", [["close", "Sell at the next open"], ["keep", "Keep, under its stops and targets"]], { value: "close" });
    const reason = textField("reason", "Why (for the record)", { maxlength: 200 });
    ask({
      title: `Stop ${bot.name}?`,
      text: "It decides nothing more after that. This cannot be taken back.",
      fields: held().length ? [policy, reason] : [reason],
      action: "Stop",
      danger: true,
      act: async (given) => {
        told((await command(`${path}/stop`, given)).body, "is stopped");
        await done();
      },
    });
  }

  function forceExit() {
    const choices = [["", "All positions"], ...held().map((one) => [one.symbol, one.symbol])];
    const which = selectField("symbol", "Which", choices);
    const reason = textField("reason", "Why (for the record)", { maxlength: 200 });
    ask({
      title: "Force exit?",
      text: "On paper it leaves at the next open, at a venue at once, at the market's price. It goes on trading after that.",
      fields: [which, reason],
      action: "Exit",
      danger: true,
      act: async ({ symbol, reason: why }) => {
        told((await command(`${path}/forceexit`, { ...(symbol ? { symbols: [symbol] } : {}), reason: why })).body, "exits");
        await done();
      },
    });
  }

  function rename() {
    const name = textField("name", "Name", { value: bot.name, maxlength: 64 });
    ask({
      title: `Rename ${bot.name}`,
      text: "The new name counts from the next candle on that it decides on.",
      fields: [name],
      action: "Rename",
      act: async (given) => {
        await command(`${path}/terms`, given, { method: "PUT" });
        await done();
      },
    });
  }

  function archive() {
    ask({
      title: `Archive ${bot.name}?`,
      text: "It leaves the lists. Everything that it did stays in the log.",
      action: "Archive",
      act: async () => {
        await command(`${path}/archive`, {});
        location.hash = "#/";
      },
    });
  }
}
