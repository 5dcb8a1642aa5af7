// Tables from columns and rows: captioned, sortable where wanted, in a frame that scrolls what nothing can break.

import { h, nothing } from "./dom.js";
import { breakable, compare } from "./figures.js";

// A column: {title, cell(row), number?, wrap?, label?, class?, sort?(row) -> text, decimal?}
export function table(caption, columns, rows, { key, kind = "", sorting = null, onSort = null, empty } = {}) {
  if (!rows.length && empty) return empty;
  return h(
    "table",
    { class: kind || null, role: "table" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => header(column, sorting, onSort)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => line(columns, row, key, kind))),
  );
}

export function framed(caption, ...content) {
  return h("div", { class: "scroll", role: "group", "aria-label": caption, tabindex: "0" }, content);
}

export function framedTable(caption, columns, rows, options = {}) {
  if (!rows.length) return nothing(null, options.emptyText ?? "There is nothing here yet.");
  return framed(caption, table(caption, columns, rows, options));
}

function header(column, sorting, onSort) {
  const classes = column.number ? "n" : null;
  if (!column.sort || !onSort) return h("th", { scope: "col", role: "columnheader", class: classes }, column.title);
  const by = sorting?.title === column.title ? sorting : null;
  const state = by ? (by.descending ? "descending" : "ascending") : null;
  return h(
    "th",
    { scope: "col", role: "columnheader", class: classes, "aria-sort": state },
    h("button", { type: "button", "data-key": `sort-${column.title}`, onclick: () => onSort(next(column, by)) }, column.title),
  );
}

function next(column, by) {
  return { title: column.title, descending: by ? !by.descending : Boolean(column.number) };
}

function line(columns, row, key, kind) {
  const cells = columns.map((column, index) =>
    h(
      index === 0 ? "th" : "td",
      {
        scope: index === 0 ? "row" : null,
        role: index === 0 ? "rowheader" : "cell",
        class: [column.number && "n", column.wrap && "wrap", column.class].filter(Boolean).join(" ") || null,
        "data-label": index === 0 ? null : (column.label ?? (kind.startsWith("stacked") ? column.title : null)),
      },
      shown(column, row),
    ),
  );
  return h("tr", { role: "row", "data-row": key ? key(row) : null }, cells);
}

function shown(column, row) {
  const value = column.cell(row);
  return column.number && typeof value === "string" ? breakable(value) : value;
}

export function sorted(rows, columns, sorting) {
  const column = columns.find((one) => one.sort && one.title === sorting?.title);
  if (!column) return rows;
  const order = sorting.descending ? -1 : 1;
  const between = column.decimal ? compare : (one, other) => one.localeCompare(other, "en", { numeric: true });
  return [...rows].sort((one, other) => {
    const [left, right] = [column.sort(one), column.sort(other)];
    if (left === null || right === null) return (left === null) - (right === null);
    return order * between(left, right);
  });
}
