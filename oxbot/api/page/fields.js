// Fields of forms: each a label, an input, a hint and its error; made by hand or from a strategy's JSON schema.

import { fill, freshId, h } from "./dom.js";
import { words } from "./figures.js";

function wrapped(name, label, input, { hint, required = false } = {}) {
  const id = freshId("field");
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const hinted = hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  input.id = id;
  input.setAttribute("aria-describedby", [`${id}-error`, hinted && `${id}-hint`].filter(Boolean).join(" "));
  if (required) input.setAttribute("aria-required", "true");
  const element = h("div", { class: "field" }, h("label", { for: id }, label), input, hinted, error);
  return {
    name,
    element,
    input,
    value: () => input.value.trim(),
    complain(text) {
      fill(error, text);
      error.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

export function textField(name, label, { value = "", hint, required, maxlength, type = "text", autocomplete = "off", inputmode, placeholder, list } = {}) {
  const input = h("input", { type, name, value, maxlength, autocomplete, inputmode, placeholder, list, spellcheck: "false", autocapitalize: "none" });
  return wrapped(name, label, input, { hint, required });
}

export function selectField(name, label, choices, { value, hint, onchange } = {}) {
  const options = choices.map(([key, text]) => h("option", { value: key, selected: key === value }, text));
  return wrapped(name, label, h("select", { name, onchange }, options), { hint });
}

export function choiceField(name, legend, choices, { value } = {}) {
  const inputs = choices.map(([key, label, hint]) => {
    const id = freshId("choice");
    const input = h("input", { type: "radio", name, value: key, id, checked: key === value });
    return { input, element: h("div", { class: "choice" }, input, h("label", { for: id }, label, hint && h("span", { class: "hint soft small" }, ` ${hint}`))) };
  });
  const element = h("fieldset", { class: "field" }, h("legend", {}, legend), h("div", { class: "choices" }, inputs.map((one) => one.element)));
  return { name, element, value: () => inputs.find((one) => one.input.checked)?.input.value };
}

export function checksField(name, legend, choices, { values = [], hint } = {}) {
  const inputs = choices.map((key) => {
    const id = freshId("check");
    const input = h("input", { type: "checkbox", name, value: key, id, checked: values.includes(key) });
    return { input, element: h("div", { class: "choice" }, input, h("label", { for: id }, key)) };
  });
  const error = h("p", { class: "error", hidden: true });
  const row = h("div", { class: "choices row" }, inputs.map((one) => one.element));
  const element = h("fieldset", { class: "field" }, h("legend", {}, legend), hint && h("p", { class: "hint" }, hint), row, error);
  return {
    name,
    element,
    input: inputs[0]?.input,
    value: () => inputs.filter((one) => one.input.checked).map((one) => one.input.value),
    complain(text) {
      fill(error, text);
      error.hidden = !text;
    },
  };
}

// A strategy's parameter by its JSON schema; its value is text, which loses no digit on the way.
export function parameterField(parameter, schema = {}) {
  const label = sentence(words(parameter.name));
  const hint = [sentence(parameter.meaning), parameter.bounds && !schema.enum && sentence(parameter.bounds)].filter(Boolean).join(". ");
  const options = { value: parameter.default, hint: hint ? `${hint}.` : null };
  let field;
  if (schema.enum) field = selectField(parameter.name, label, schema.enum.map((one) => [String(one), String(one)]), options);
  else if (schema.type === "boolean") field = selectField(parameter.name, label, [["true", "Yes"], ["false", "No"]], options);
  else field = textField(parameter.name, label, { ...options, inputmode: inputMode(schema), maxlength: 80 });
  return { ...field, check: () => field.complain(faultOf(field.value(), parameter, schema)), changed: () => field.value() !== parameter.default };
}

function inputMode(schema) {
  if (schema.type === "integer") return "numeric";
  return schema.type === "number" || schema.format === "decimal" ? "decimal" : null;
}

function faultOf(value, parameter, schema) {
  const named = parameter.bounds ? `, ${parameter.bounds}` : "";
  if (value === "") return "Say a value.";
  if (schema.type === "integer" && !/^-?\d+$/.test(value)) return `This must be a whole number${named}.`;
  const decimal = schema.type === "number" || schema.format === "decimal";
  if (decimal && !/^-?\d+(\.\d+)?$/.test(value)) return `This must be a number${named}.`;
  return "";
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}
