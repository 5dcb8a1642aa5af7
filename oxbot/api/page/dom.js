// Elements made of plain data: text becomes text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, properties, ...children) {
  return dress(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return dress(document.createElementNS(SVG, tag), properties, children);
}

function dress(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, children);
  return element;
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  put(element, children);
  return element;
}

// Shows something new in a part, without taking from under somebody's hands what they are using: what is the same stays,
// and so does a disclosure that is open, with all that is in it; the focus is given back.
export function refill(element, ...children) {
  const made = fill(document.createElement(element.tagName), ...children);
  const opened = new Map([...element.querySelectorAll("details[open][data-key]")].map((one) => [one.dataset.key, one]));
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  if (same(element, made)) return element;
  for (const one of made.querySelectorAll("details[data-key]")) {
    const kept = opened.get(one.dataset.key);
    if (kept && made.contains(one)) one.replaceWith(kept);
  }
  element.replaceChildren(...made.childNodes);
  if (focused) focusAgain(element, focused);
  return element;
}

function same(element, made) {
  const [before, after] = [[...element.childNodes], [...made.childNodes]];
  return before.length === after.length && before.every((one, index) => one.isEqualNode(after[index]));
}

// The focus goes to the element itself or, if it was made anew, to the one that took its place.
export function focusAgain(root, element) {
  const key = element.dataset?.key;
  const target = element.isConnected ? element : key && [...root.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  target?.focus({ preventScroll: true });
}

export function byId(id) {
  return document.getElementById(id);
}

export function say(text, { urgent = false } = {}) {
  const region = byId(urgent ? "assertive" : "polite");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text));
}

export function toast(text, { bad = false } = {}) {
  const shown = h("div", { class: bad ? "toast bad" : "toast" }, text);
  byId("toasts").append(shown);
  say(text, { urgent: bad });
  setTimeout(() => shown.remove(), bad ? 9000 : 4500);
}

export function panel(title, { note, tools, flush = false, id } = {}, ...content) {
  const heading = `heading-${id ?? title.toLowerCase().replace(/\W+/g, "-")}`;
  return h(
    "section",
    { class: "panel", "aria-labelledby": heading },
    h("header", {}, h("div", {}, h("h2", { id: heading }, title), note && h("p", {}, note)), tools),
    h("div", { class: flush ? "flush" : "body" }, content),
  );
}

export function nothing(title, text) {
  return h("p", { class: "empty" }, title && h("strong", {}, title), text);
}

export function pairs(rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "pairs" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

let ids = 0;
export function freshId(stem) {
  ids += 1;
  return `${stem}-${ids}`;
}
