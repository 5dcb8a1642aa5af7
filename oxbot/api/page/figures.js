// Decimals as text: grouped, signed, added and compared exactly; a float is only ever a place on a chart. What is shown to
// fewer places is rounded half away from zero, everywhere; what is not zero never looks like it.

import { h } from "./dom.js";

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;
const MINUS = "\u2212";
const WHOLE_UNBROKEN = 12;

function parts(text) {
  const found = DECIMAL.exec(text ?? "");
  return found ? { negative: found[1] === "-", whole: found[2], fraction: found[3] ?? "" } : null;
}

export function scaled(text, places) {
  const { negative, whole, fraction } = parts(text) ?? { whole: "0", fraction: "" };
  const digits = BigInt(whole + fraction.padEnd(places, "0"));
  return negative ? -digits : digits;
}

function unscaled(digits, places) {
  const sign = digits < 0n ? "-" : "";
  const all = (digits < 0n ? -digits : digits).toString().padStart(places + 1, "0");
  const fraction = all.slice(all.length - places).replace(/0+$/, "");
  return sign + all.slice(0, all.length - places) + (places && fraction ? `.${fraction}` : "");
}

function placesOf(...texts) {
  return Math.max(...texts.map((text) => parts(text)?.fraction.length ?? 0));
}

export function add(...texts) {
  const places = placesOf("0", ...texts);
  return unscaled(texts.reduce((sum, text) => sum + scaled(text, places), 0n), places);
}

export function subtract(one, other) {
  const places = placesOf(one, other);
  return unscaled(scaled(one, places) - scaled(other, places), places);
}

export function compare(one, other) {
  const places = placesOf(one, other);
  const difference = scaled(one, places) - scaled(other, places);
  return difference < 0n ? -1 : Number(difference > 0n);
}

// How much of `whole` `part` is, times 10 to the power of `places`, as a whole number, rounded once and from all digits.
function quotient(part, whole, places) {
  const common = placesOf(part, whole);
  const [over, under] = [scaled(part, common) * 10n ** BigInt(places), scaled(whole, common)];
  const size = (2n * magnitude(over) + magnitude(under)) / (2n * magnitude(under));
  return over < 0n === under < 0n ? size : -size;
}

function magnitude(digits) {
  return digits < 0n ? -digits : digits;
}

// To so many places; what is not zero and would round to it is said to be smaller than the last place, on its side of zero.
export function rounded(text, places, { sign = false } = {}) {
  if (!parts(text)) return text ?? "";
  return told(quotient(text, "1", places), signOf(text), places, sign);
}

function told(digits, side, places, sign) {
  const small = digits === 0n && side !== 0;
  const shown = plain(unscaled(small ? BigInt(side) : digits, places), { sign });
  return small ? `${side < 0 ? ">" : "<"}\u2009${shown}` : shown;
}

export function signOf(text) {
  const found = parts(text);
  if (!found || !/[1-9]/.test(found.whole + found.fraction)) return 0;
  return found.negative ? -1 : 1;
}

export function plain(text, { sign = false } = {}) {
  const found = parts(text);
  if (!found) return text ?? "";
  const grouped = found.whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const before = found.negative ? MINUS : sign && signOf(text) > 0 ? "+" : "";
  return before + grouped + (found.fraction ? `.${found.fraction}` : "");
}

// The figure with what is beyond two decimals set back: every digit is there, and the eye finds the first ones.
export function figure(text, options = {}) {
  const shown = plain(text, options);
  const dot = shown.indexOf(".");
  const cut = dot < 0 ? shown.length : dot + 3;
  const tail = shown.slice(cut);
  return h("span", { class: toneOf(text, options) }, breakable(shown.slice(0, cut)), tail && [h("wbr"), h("span", { class: "tail" }, pieces(tail))]);
}

// The same text, which a narrow cell may break between digits where it is long, and nowhere else.
export function breakable(text) {
  const [whole, fraction] = text.split(".");
  if (!/^\D{0,3}[\d,]+$/.test(whole)) return text;
  const groups = whole.length > WHOLE_UNBROKEN ? between(whole.split(/(?<=,)/)) : whole;
  return fraction === undefined ? groups : [groups, ".", pieces(fraction)];
}

function pieces(digits) {
  return between(digits.match(/.{1,4}/g) ?? []);
}

function between(texts) {
  return texts.flatMap((text, index) => (index ? [h("wbr"), text] : [text]));
}

function toneOf(text, { tone = false }) {
  if (!tone) return null;
  return { "-1": "loss", 0: null, 1: "gain" }[signOf(text)];
}

// How much of `whole` `part` is, in percent to two places, by which one sees that it is rounded; null without a whole.
export function percentOf(part, whole, { sign = false } = {}) {
  if (!parts(part) || signOf(whole) === 0) return null;
  const side = signOf(part) * signOf(whole);
  const [size, rest = ""] = told(quotient(part, whole, 4), side, 2, sign).split(".");
  return `${side === 0 ? "0" : `${size}.${rest.padEnd(2, "0")}`}\u2009%`;
}

// A fraction in percent, with all its digits.
export function percent(fraction, { sign = false } = {}) {
  const found = parts(fraction);
  if (!found) return "";
  const digits = found.fraction.padEnd(2, "0");
  const moved = `${found.negative ? "-" : ""}${BigInt(found.whole + digits.slice(0, 2))}`;
  return `${plain(digits.length > 2 ? `${moved}.${digits.slice(2)}` : moved, { sign })}\u2009%`;
}

export function moment(text, { seconds = false } = {}) {
  if (!text) return "\u2013";
  const at = text.slice(0, 10);
  return h("time", { datetime: text, title: `${text}` }, `${at} ${text.slice(11, seconds ? 19 : 16)}`);
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

export function count(number, one, many = `${one}s`) {
  return `${plain(String(number))} ${number === 1 ? one : many}`;
}
