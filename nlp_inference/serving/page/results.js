// What was found, next to the text: categories, values, relations, generated texts, and the list of spans.

import { labelCounts } from "./annotation.js";
import { copy, count, counted, el, oneLine, score, slice, visibleParts, glyph } from "./dom.js";
import { inPortions } from "./passage.js";
import { meter } from "./trace.js";

const MAX_BARS = 12;
const ROWS = 100;

/** Return the results of the complete text: a block for each head that has some. */
export function ofDocument(groups, { hues, threshold }) {
  return groups.map(({ head, annotation }) => {
    const parts = [
      categories(annotation, { head, hues, threshold }),
      values(annotation.values),
      generated(annotation.generated),
    ].filter(Boolean);
    return parts.length ? el("div", { class: "facts" }, groups.length > 1 && el("h3", {}, head), parts) : null;
  });
}

function categories(annotation, { head, hues, threshold }) {
  const predicted = new Set(annotation.categories.map((one) => one.label));
  const others = Object.entries(annotation.label_scores ?? {}).filter(([label]) => !predicted.has(label));
  const all = [
    ...annotation.categories.map((one) => ({ ...one, predicted: true })),
    ...others.map(([label, value]) => ({ label, score: value, predicted: false })),
  ];
  if (!all.length) return null;
  const rows = all.slice(0, MAX_BARS).map(({ label, score: value, predicted: chosen }) => {
    const hue = hues.of(head ? `${head}/${label}` : label);
    const low = value !== null && value < threshold;
    const bar = value === null ? el("span", { class: "value" }, "no score") : meter(value, hue, { threshold });
    return el("li", { class: chosen && !low ? "category" : "category other" }, el("span", { class: "name" }, oneLine(label)), bar);
  });
  const more = all.length - rows.length;
  return el("ul", { class: "categories", attributes: { "aria-label": "Categories" } }, rows, more > 0 && el("li", { class: "note" }, `and ${count(more)} more`));
}

function values(numbers) {
  const entries = Object.entries(numbers ?? {});
  if (!entries.length) return null;
  const rows = entries.map(([name, value]) => el("div", {}, el("dt", {}, oneLine(name.replaceAll("_", " "))), el("dd", {}, number(value))));
  return el("dl", { class: "numbers" }, rows);
}

const number = (value) => (Number.isInteger(value) ? count(value) : score(value));

function generated(texts) {
  const blocks = (texts ?? []).map((text) => {
    const button = el("button", { class: "quiet", attributes: { type: "button" } }, "Copy");
    button.addEventListener("click", () => copy(text, button));
    const shown = visibleParts(text).map((part) => (part.hidden ? el("span", { class: "glyph" }, glyph(part.text)) : part.text));
    return el("figure", { class: "generated" }, el("blockquote", { attributes: { dir: "auto" } }, shown.length ? shown : "(an empty text)"), button);
  });
  return blocks.length ? blocks : null;
}

/** The labels in the text with their counts; each button hides and shows one of them. */
export function legend(spans, { hues, hidden, toggle }) {
  const buttons = labelCounts(spans).map(([label, { count: number, hue }]) =>
    el(
      "button",
      {
        class: "legend-label",
        attributes: { type: "button", "aria-pressed": String(!hidden.has(label)) },
        variables: { "--h": hues.of(hue) },
        on: { click: () => toggle(label) },
      },
      oneLine(label, { limit: 40 }),
      el("i", {}, ` ${count(number)}`),
    ),
  );
  return el("div", { class: "legend", attributes: { role: "group", "aria-label": "Labels; press one to hide it" } }, buttons);
}

/** The relations, each with its two spans. */
export function relations(found, { text, hues, journey, tracer }) {
  if (!found.length) return null;
  const end = (span) => el("span", { class: "end", variables: { "--h": hues.of(span.hue) } }, oneLine(slice(text, span.start, span.end), { limit: 40 }), el("small", {}, oneLine(span.label)));
  const rows = found.slice(0, ROWS).map((one) => {
    const target = journey && journey.ofRelation(one);
    const label = el("span", { class: "link" }, oneLine(one.label), one.score !== null && el("i", {}, ` ${score(one.score)}`));
    const button = el("button", { class: "relation", attributes: { type: "button" } }, end(one.from), label, end(one.to));
    if (target) traced(button, target, tracer);
    return el("li", {}, button);
  });
  return el("section", {}, el("h3", {}, counted(found.length, "relation")), el("ul", { class: "relations" }, rows));
}

/** Show a target while the pointer or the focus is on a button, and keep it when it is pressed. */
function traced(button, target, tracer) {
  button.addEventListener("mouseenter", () => tracer.preview(target));
  button.addEventListener("mouseleave", () => tracer.preview(null));
  button.addEventListener("focus", () => tracer.preview(target));
  button.addEventListener("blur", () => tracer.preview(null));
  button.addEventListener("click", () => tracer.pin(target));
}

/** The spans as a table. */
export function spanTable(spans, { text, hues }) {
  if (!spans.length) return null;
  const body = el("tbody");
  let shown = 0;
  const add = () => {
    for (const span of spans.slice(shown, shown + ROWS)) {
      const bar = span.score === null ? "" : meter(span.score, hues.of(span.hue));
      body.append(
        el(
          "tr",
          { data: { span: span.index } },
          el("td", { variables: { "--h": hues.of(span.hue) } }, el("span", { class: "tag" }, oneLine(span.label, { limit: 40 }))),
          el("td", { class: "surface", attributes: { dir: "auto" } }, oneLine(slice(text, span.start, span.end), { limit: 60 })),
          el("td", { class: "offset" }, `${count(span.start)}–${count(span.end)}`),
          el("td", {}, bar),
        ),
      );
    }
    shown += ROWS;
    return shown < spans.length;
  };
  const head = ["Label", "Text", "UTF-16 offsets", "Score"].map((name) => el("th", { attributes: { scope: "col" } }, name));
  const table = el("table", { class: "spans" }, el("thead", {}, el("tr", {}, head)), body);
  const box = el("div", { class: "scroll table", attributes: { tabindex: "0", role: "group", "aria-label": "Spans as a table" } }, table);
  inPortions(box, add, () => `${count(spans.length - shown)} more spans`);
  return el("details", { class: "all-spans" }, el("summary", {}, `${counted(spans.length, "span")} as a table`), box);
}

const KINDS = { unread: "not read", deleted: "deleted by preprocessing", unknown: "unknown to the tokenizer" };

/** Say what the model did not see; null if it saw everything. `gaps` are those of both texts. */
export function coverageNote(gaps, { text, truncated }) {
  if (!gaps.length && !truncated) return null;
  const kinds = Object.entries(KINDS).flatMap(([kind, what]) => {
    const ranges = gaps.filter((gap) => gap.kind === kind);
    if (!ranges.length) return [];
    const surfaces = ranges.slice(0, 3).map((gap) => oneLine(slice(gap.text ?? text, gap.start, gap.end), { limit: 24 }));
    return [el("li", {}, el("span", { class: `swatch ${kind}` }), `${counted(ranges.length, "place")} ${what}: `, el("q", {}, surfaces.join(" · ")), ranges.length > 3 && " …")];
  });
  const cut = truncated && el("li", {}, "The text was truncated to the first window.");
  return el("div", { class: "not-seen" }, el("strong", {}, "The model did not see everything"), el("ul", {}, kinds, cut));
}

/** Say why nothing, or not everything, is shown; null if there is no need to. */
export function note({ groups, hidden }, threshold) {
  if (hidden) return el("p", { class: "note" }, `${count(hidden)} with a score below ${threshold.toFixed(2)} not shown.`);
  const found = groups.some(({ annotation: one }) => one.spans.length || one.categories.length || Object.keys(one.values).length || one.generated.length);
  return found ? null : el("p", { class: "note" }, "The model found nothing in this text.");
}

/** Whether there is a score that a threshold can be compared with. */
export const hasScores = (shown, predicted) =>
  shown.spans.length > 0 || shown.hidden > 0 || [predicted, ...Object.values(predicted.heads ?? {})].some((one) => one.categories.length > 0);

/** Say what kinds of things were found, and how many. */
export function kinds(spans, groups) {
  const total = (size) => groups.reduce((sum, { annotation }) => sum + size(annotation), 0);
  const others = [
    [total((one) => one.categories.length), "categor"],
    [total((one) => one.relations.length), "relation"],
    [total((one) => Object.keys(one.values).length), "value"],
    [total((one) => one.generated.length), "text"],
  ].filter(([size]) => size > 0);
  const all = spans.length || !others.length ? [[spans.length, "span"], ...others] : others;
  return all.map(([size, noun]) => (noun === "categor" ? `${count(size)} ${size === 1 ? "category" : "categories"}` : counted(size, noun)));
}

/** What a screen reader announces. */
export function spoken(shown, labeled, complete) {
  const categories = shown.groups.flatMap(({ annotation }) => annotation.categories.slice(0, 1).map((one) => one.label));
  const labels = [...new Set(labeled.map((span) => span.label))].slice(0, 6).join(", ");
  const found = labeled.length || !categories.length ? `${counted(labeled.length, "span")} found${labels ? `: ${labels}` : ""}.` : "";
  const named = categories.length ? `Category: ${categories.join(", ")}.` : "";
  const generated = shown.groups.flatMap(({ annotation }) => annotation.generated).join(" ");
  return [found, named, generated, complete ? "" : "The model did not see everything."].filter(Boolean).join(" ");
}
