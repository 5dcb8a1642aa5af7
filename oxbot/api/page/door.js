// The door: a name and a password.

import { Problem, signIn } from "./client.js";
import { fill, h } from "./dom.js";
import { textField } from "./fields.js";

export function door() {
  const username = textField("username", "Name", { autocomplete: "username", required: true, maxlength: 64 });
  const password = textField("password", "Password", { type: "password", autocomplete: "current-password", required: true, maxlength: 256 });
  const problem = h("p", { class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: "primary wide" }, "Sign in");
  const form = h(
    "form",
    { novalidate: true, onsubmit: submit, "aria-labelledby": "sign-in" },
    h("h2", { id: "sign-in", class: "visually-hidden" }, "Sign in"),
    username.element,
    password.element,
    problem,
    h("div", { class: "field" }, go),
  );
  const words = h(
    "div",
    {},
    h("h1", { tabindex: "-1" }, "Every decision on the record."),
    h("p", { class: "lede" }, "A fleet of trading bots over one append-only log: what each was told, what it decided and why, and what came of it."),
  );
  return { title: "Sign in", element: h("div", { class: "door" }, words, form) };

  async function submit(event) {
    event.preventDefault();
    fill(problem);
    for (const field of [username, password]) field.complain(field.input.value ? "" : `Say your ${field.name === "username" ? "name" : "password"}.`);
    const missing = [username, password].find((field) => !field.input.value);
    if (missing) return missing.input.focus();
    go.disabled = true;
    try {
      await signIn(username.value(), password.input.value);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(problem, error.status === 401 ? "The name or the password is not right." : waitText(error));
      password.input.value = "";
      password.input.focus();
    } finally {
      go.disabled = false;
    }
  }
}

function waitText(problem) {
  return problem.retryAfter ? `${problem.message} (${problem.retryAfter} s)` : problem.message;
}
