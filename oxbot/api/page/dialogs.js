// Questions before something is done: a native dialog, the focus kept in it and given back afterwards.

import { Problem } from "./client.js";
import { fill, focusAgain, freshId, h } from "./dom.js";

// Asks and, at the primary button, does it; what goes wrong is said in the dialog, which then stays.
export function ask({ title, text, fields = [], action, danger = false, act }) {
  const asker = document.activeElement;
  const heading = freshId("dialog");
  const problem = h("p", { class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: danger ? "danger primary" : "primary" }, action);
  const form = h(
    "form",
    { method: "dialog", novalidate: true, onsubmit: submit },
    h("h2", { id: heading }, title),
    text && h("p", { class: "soft" }, text),
    fields.map((field) => field.element),
    problem,
    h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go),
  );
  const dialog = h("dialog", { "aria-labelledby": heading, onclose: leave }, form);
  document.body.append(dialog);
  dialog.showModal();

  function leave() {
    dialog.remove();
    focusAgain(document, asker);
  }

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    fill(problem);
    try {
      await act(Object.fromEntries(fields.map((field) => [field.name, field.value()])));
      dialog.close();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(problem, error.message);
    } finally {
      go.disabled = false;
    }
  }
}
