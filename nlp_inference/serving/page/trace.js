// The trace of a span, a token or a window: the same characters in the raw text, after each transform, and as tokens.

import { byId, count, counted, el, fill, oneLine, score, slice } from "./dom.js";

const CONTEXT = 22;
const MAX_TOKENS = 20;
const MAX_EDITS = 6;

/**
 * What is traced.
 *
 * `targets` are `{routes, span, token, window}`: the ranges at every level of the alignment. Two things are kept: the
 * one under the pointer or the focus, and the one that was pinned, to which the page returns.
 */
export class Tracer {
  constructor() {
    this.views = []; // {view, level, box}
    this.listeners = [];
    this.pinned = null;
    this.resting = null;
    this.current = null;
    this.lit = globalThis.Highlight && CSS.highlights ? new Highlight() : null;
    if (this.lit) CSS.highlights.set("trace", this.lit);
  }

  reset() {
    Object.assign(this, { views: [], listeners: [], pinned: null, resting: null, current: null });
    this.lit?.clear();
    fill(byId("trace")).style.minHeight = "";
  }

  /** Register a view of the text at a level, in a box that can be scrolled. */
  register(view, level, box) {
    this.views.push({ view, level, box });
  }

  /** Show a target for as long as the pointer or the focus is on it; null returns to the pinned one. */
  preview(target) {
    this.#show(target ?? this.pinned ?? this.resting);
  }

  /** Keep a target until it is chosen again. */
  pin(target) {
    this.pinned = this.pinned && target && this.pinned.key === target.key ? null : target;
    this.#show(this.pinned ?? this.resting);
    if (!this.pinned) return;
    for (const { view, level, box } of this.views) view.scrollTo(box, ...this.pinned.routes[0][level]);
    this.refresh();
  }

  #show(target) {
    this.current = target;
    this.refresh();
    for (const listener of this.listeners) listener(target, this.pinned);
  }

  /** Highlight the target again, also in views that grew. */
  refresh() {
    this.lit?.clear();
    if (!this.lit || !this.current || this.current === this.resting) return;
    for (const { view, level } of this.views) {
      for (const route of this.current.routes) {
        for (const range of view.ranges(...route[level])) this.lit.add(range);
      }
    }
  }
}

/** Draw the trace of a target in the card. */
export function drawTrace(target, { journey, hues, postprocess, pinned }) {
  const card = byId("trace");
  card.hidden = !target;
  if (!target) return;
  card.style.minHeight = `${Math.max(parseInt(card.style.minHeight || "0", 10), card.offsetHeight)}px`; // what is below must not move under the pointer
  const [route] = target.routes;
  const rows = [
    row("Received", place(route[0]), inContext(journey.alignment.raw, route[0])),
    ...journey.alignment.records.map((record, level) => editRow(journey.alignment, record, level, route)),
    row("Model reads", place(route.at(-1)), inContext(journey.alignment.current, route.at(-1))),
    tokenRow(journey, route.at(-1), hues),
    windowRow(journey, target, route.at(-1)),
    target.span && scoreRow(target.span, postprocess, hues),
  ];
  fill(card, title(target, journey, hues, pinned), el("dl", { class: "ladder" }, rows));
}

/** Say the trace in the card in words, for screen readers. */
export function spokenTrace() {
  const card = byId("trace");
  const rows = [...card.querySelectorAll("dt")].map((name) => `${name.firstChild.data} ${name.querySelector("small")?.textContent ?? ""}: ${name.nextElementSibling.textContent}`);
  return `Pinned: ${[...card.querySelector("h3").children].slice(0, 2).map((one) => one.textContent).join(" ")}. ${rows.join(". ")}`;
}

function title(target, journey, hues, pinned) {
  const [start, end] = target.routes[0][0];
  const surface = oneLine(slice(journey.alignment.raw, start, end), { limit: 70 });
  const kind = target.span?.label ?? target.name;
  const hue = target.span ? { "--h": hues.of(target.span.hue) } : {};
  return el(
    "h3",
    {},
    el("span", { class: target.span ? "tag" : "tag plain", variables: hue }, oneLine(kind, { limit: 40 })),
    el("q", { attributes: { dir: "auto" } }, surface),
    pinned && el("span", { class: "pin" }, "pinned · Esc"),
  );
}

const place = ([start, end]) => `${count(start)}–${count(end)}`;

function row(name, note, ...content) {
  return [el("dt", {}, name, note && el("small", {}, note)), el("dd", { attributes: { dir: "auto" } }, content)];
}

function inContext(text, [start, end]) {
  const left = slice(text, Math.max(0, start - CONTEXT), start);
  const right = slice(text, end, Math.min(text.length, end + CONTEXT));
  return [
    el("span", { class: "dim" }, start > CONTEXT ? "…" : "", oneLine(left)),
    el("b", {}, oneLine(slice(text, start, end), { limit: 120 }) || "nothing"),
    el("span", { class: "dim" }, oneLine(right), end + CONTEXT < text.length ? "…" : ""),
  ];
}

function editRow(alignment, record, level, route) {
  const [start, end] = route[level];
  const touching = record.edits.filter((edit) => (edit[0] < end && edit[1] > start) || (edit[0] === edit[1] && edit[0] > start && edit[0] < end));
  if (!touching.length) return null;
  const before = alignment.texts[level];
  const shown = touching.slice(0, MAX_EDITS).map((edit) => el("span", { class: "change" }, change(before, edit)));
  const more = touching.length - shown.length;
  return row(record.transform, counted(touching.length, "edit"), shown, more > 0 && el("span", { class: "dim" }, ` and ${count(more)} more`));
}

/** Show one edit: what it removed and what it inserted. */
export function change(before, [start, end, replacement]) {
  return [
    start < end && el("del", {}, oneLine(before.slice(start, end), { blanks: true })),
    replacement && el("ins", {}, oneLine(replacement, { blanks: true })),
  ];
}

function tokenRow(journey, range, hues) {
  const [first, last] = journey.tokensIn(range);
  const shown = journey.tokens.slice(first, Math.min(last, first + MAX_TOKENS));
  const note = last > first ? `${count(first + 1)}${last - first > 1 ? `–${count(last)}` : ""} of ${count(journey.allTokens)}` : "";
  if (!shown.length) return row("Tokens", "", el("span", { class: "dim" }, journey.capped ? "beyond the tokens that the server lists" : "none"));
  const chips = shown.map((token, index) => journey.tokenChip(first + index, { hues, joined: index > 0 }));
  return row("Tokens", note, el("span", { class: "tokens" }, chips, last - first > MAX_TOKENS && el("span", { class: "dim" }, "…")));
}

function windowRow(journey, target, range) {
  const [first, last] = journey.tokensIn(range);
  const owners = journey.windows.flatMap((window, index) => (window.owned_start < last && window.owned_end > first ? [index] : []));
  if (target.window !== undefined || !owners.length) return null;
  const names = owners.length > 4 ? `${owners[0] + 1} to ${owners.at(-1) + 1}` : owners.map((index) => index + 1).join(", ");
  return row("Window", `of ${count(journey.windows.length)}`, names);
}

function scoreRow(span, postprocess, hues) {
  const bar = span.score === null ? "no score" : meter(span.score, hues.of(span.hue));
  return row("Prediction", postprocess.length ? `then ${postprocess.join(", ")}` : "", bar);
}

/** A bar for a score from 0 to 1. */
export function meter(value, hue, { threshold = null } = {}) {
  const width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
  return el(
    "span",
    { class: "meter", variables: { "--h": hue, "--at": width } },
    el("span", { class: "track" }, el("span", { class: "level" }), threshold && el("span", { class: "limit", variables: { "--at": `${threshold * 100}%` } })),
    el("span", { class: "value" }, score(value)),
  );
}
