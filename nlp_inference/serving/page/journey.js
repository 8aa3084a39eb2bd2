// The journey of a document: what each transform changed, the text that the model read, its tokens and windows.

import { Alignment } from "./alignment.js";
import { count, counted, el, oneLine, roving } from "./dom.js";
import { bringIntoView, inPortions, TextView } from "./passage.js";
import { change } from "./trace.js";

const CONTEXT = 32;
const EDITS = 50; // that are added to the page at once
const TOKENS = 300;
const BEFORE = 40; // tokens that are shown before a pinned one
const CHARACTERS = 6000;

/** The data of a journey. */
export class Journey {
  constructor(raw, { explanation, coverage }) {
    this.alignment = new Alignment(raw, explanation.edits);
    this.tokens = explanation.tokens;
    this.allTokens = explanation.all_tokens;
    this.windows = explanation.windows;
    this.coverage = coverage;
    this.capped = this.tokens.length < this.allTokens;
    this.unknown = coverage.unknown ?? [];
  }

  /** Return the first and the exclusive last index of the tokens that touch a range of the current text. */
  tokensIn([start, end]) {
    const first = this.#search((token) => token.text_end > start);
    const last = this.#search((token) => token.text_start >= end);
    return [first, Math.max(first, last)];
  }

  #search(test) {
    let low = 0;
    for (let high = this.tokens.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (test(this.tokens[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  ofSpan(span) {
    return { key: `span ${span.index}`, span, routes: [this.alignment.fromRaw(span.start, span.end)] };
  }

  /** Return the trace that the page shows before the reader chooses one: of a span that edits touched, if there is one. */
  example(spans) {
    const targets = spans.slice(0, 200).map((span) => this.ofSpan(span));
    const changed = targets.find(({ routes: [route] }) => route[0][1] - route[0][0] !== route.at(-1)[1] - route.at(-1)[0]);
    return changed ?? targets[0] ?? null;
  }

  ofRelation(relation) {
    const routes = [relation.from, relation.to].map((span) => this.alignment.fromRaw(span.start, span.end));
    return { key: `relation ${relation.from.index} ${relation.to.index} ${relation.label}`, span: relation.from, routes };
  }

  ofToken(index) {
    const token = this.tokens[index];
    const route = this.alignment.fromCurrent(token.text_start, token.text_end);
    route[0] = [token.start, token.end];
    return { key: `token ${index}`, name: `token ${count(index + 1)}`, routes: [route] };
  }

  ofWindow(index) {
    const window = this.windows[index];
    const tokens = this.tokens.slice(window.start, window.end);
    if (!tokens.length) return null;
    const route = this.alignment.fromCurrent(tokens[0].text_start, tokens.at(-1).text_end);
    return { key: `window ${index}`, name: `window ${count(index + 1)}`, window: index, routes: [route] };
  }

  isUnknown(token) {
    return this.unknown.some(([start, end]) => start < token.end && token.start < end);
  }

  /** Show a token; `joined`: it continues the word of the one before. */
  tokenChip(index, { joined, tag = "span" }) {
    const token = this.tokens[index];
    const continues = joined && index > 0 && this.tokens[index - 1].text_end === token.text_start;
    const classes = ["token", continues && "joined", this.isUnknown(token) && "unknown"].filter(Boolean).join(" ");
    const options = tag === "button" ? { attributes: { type: "button", tabindex: "-1" } } : {};
    return el(tag, { class: classes, data: { token: index }, ...options }, oneLine(token.text, { limit: 40, blanks: true }) || "∅");
  }
}

/** Return the stages, as items of a list. `steps` are the names of the transforms of the model. */
export function stages(journey, { steps, tracer, spans, hues, annotation }) {
  return [
    stage("Received", counted([...journey.alignment.raw].length, "character"), "received"),
    ...transforms(journey.alignment, { steps, tracer }),
    stage("Model reads", readNote(journey), "reads", readText(journey.alignment, tracer)),
    stage("Tokens", tokenNote(journey), "tokenized", windowStrip(journey), tokenFlow(journey, { tracer, spans, hues })),
    stage("Prediction", annotation, "predicted"),
  ];
}

/** The stages of the second text of a pair. Its tokens are listed, but not traced. */
export function pairStages(pair, { explanation, coverage, steps, tracer }) {
  const parts = { edits: explanation.edits_pair, tokens: explanation.tokens_pair, all_tokens: explanation.tokens_pair.length, windows: [] };
  const journey = new Journey(pair, { explanation: parts, coverage: { unknown: coverage.unknown_pair } });
  const { alignment } = journey;
  return [
    stage("Second text", counted([...alignment.raw].length, "character"), "received"),
    ...transforms(alignment, { steps, tracer }),
    alignment.records.length ? stage("Model reads", "second text", "reads", readText(alignment, tracer)) : null,
    stage("Tokens", counted(journey.allTokens, "token"), "tokenized", tokenList(journey)),
  ];
}

function tokenList(journey) {
  const node = el("div", { class: "tokens scroll", attributes: { tabindex: "0", role: "group", "aria-label": "Tokens of the second text" } });
  let shown = 0;
  const add = () => {
    const end = Math.min(journey.tokens.length, shown + TOKENS);
    for (; shown < end; shown += 1) node.append(journey.tokenChip(shown, { joined: true }));
    return shown < journey.tokens.length;
  };
  inPortions(node, add, () => `${count(journey.tokens.length - shown)} more tokens`);
  return node;
}

function stage(name, note, kind, ...content) {
  return el("li", { class: `stage ${kind}` }, el("h3", {}, name, el("small", {}, note)), content);
}

function transforms(alignment, { steps, tracer }) {
  const found = [];
  let level = 0;
  for (const name of steps) {
    const record = alignment.records[level];
    if (record?.transform === name) {
      found.push(transform(alignment, level, tracer));
      level += 1;
    } else found.push(stage(name, "no change", "idle"));
  }
  for (; level < alignment.records.length; level += 1) found.push(transform(alignment, level, tracer));
  return found;
}

function transform(alignment, level, tracer) {
  const { transform: name, edits } = alignment.records[level];
  const removed = edits.reduce((sum, [start, end]) => sum + end - start, 0);
  const inserted = edits.reduce((sum, [, , replacement]) => sum + replacement.length, 0);
  const note = [counted(edits.length, "edit"), removed && `−${count(removed)}`, inserted && `+${count(inserted)}`].filter(Boolean).join(" · ");
  return stage(name, note, "edited", diff(alignment, level, tracer));
}

/** Show edits in their context; what is far from any edit is left out. */
function diff(alignment, level, tracer) {
  const before = alignment.texts[level];
  const { edits } = alignment.records[level];
  const views = [new TextView(), new TextView()];
  const node = el("div", { class: "diff scroll", attributes: { dir: "auto", tabindex: "0", role: "group", "aria-label": `Edits of ${alignment.records[level].transform}` } });
  views.forEach((view, index) => tracer.register(view, level + index, node));
  let next = 0;
  let position = 0;
  const between = (until, last) => {
    const long = until - position > 2 * CONTEXT + 12;
    const head = next > 0 || position > 0 ? CONTEXT : 0;
    if (!long) return views[0].add(node, before.slice(position, until), position);
    const cut = [position + head, last ? until : until - CONTEXT];
    views[0].add(node, before.slice(position, cut[0]), position);
    node.append(el("span", { class: "skipped" }, `${count(cut[1] - cut[0])} characters`));
    return last ? undefined : views[0].add(node, before.slice(cut[1], until), cut[1]);
  };
  const add = () => {
    const limit = Math.min(edits.length, next + EDITS);
    for (; next < limit; next += 1) {
      const [start, end] = edits[next];
      between(start, false);
      addChange(node, before, edits[next], views, alignment.maps[level].after(next));
      position = end;
    }
    if (next < edits.length) return true;
    between(before.length, true);
    return false;
  };
  inPortions(node, add, () => `${count(edits.length - next)} more edits`);
  return node;
}

function addChange(node, before, edit, views, [start, end]) {
  const shown = change(before, edit).filter(Boolean);
  node.append(...shown);
  const [removed, inserted] = edit[0] < edit[1] ? shown : [null, shown[0]];
  if (removed) views[0].mark(removed, edit[0], edit[1], { whole: true });
  if (inserted) views[1].mark(inserted, start, end, { whole: true });
}

function readText(alignment, tracer) {
  const view = new TextView();
  const text = alignment.current;
  const node = el("div", { class: "read scroll", attributes: { dir: "auto", tabindex: "0", role: "group", "aria-label": "The text after preprocessing" } });
  tracer.register(view, alignment.records.length, node);
  let shown = 0;
  const add = () => {
    const end = Math.min(text.length, shown + CHARACTERS);
    view.add(node, text.slice(shown, end), shown);
    shown = end;
    return shown < text.length;
  };
  inPortions(node, add, () => `${count(text.length - shown)} more characters`);
  return node;
}

function readNote({ coverage, alignment }) {
  const note = counted([...alignment.current].length, "character");
  return coverage.read === coverage.characters ? note : `${note} · ${count(coverage.characters - coverage.read)} not seen`;
}

function tokenNote({ allTokens, windows, capped, tokens }) {
  const note = `${counted(allTokens, "token")} in ${counted(windows.length, "window")}`;
  return capped ? `${note}, the first ${count(tokens.length)} listed` : note;
}

/** Windows as bricks in two rows, so that their overlap is visible. */
function windowStrip({ windows, allTokens }) {
  if (windows.length < 2) return null;
  const percent = (tokens) => `${(100 * tokens) / allTokens}%`;
  const bricks = windows.map((window, index) =>
    el(
      "button",
      {
        class: "brick",
        attributes: {
          type: "button",
          tabindex: index ? "-1" : "0",
          "aria-label": `Window ${index + 1}: tokens ${window.start + 1} to ${window.end}, predictions from ${window.owned_start + 1} to ${window.owned_end}`,
        },
        data: { window: index },
        variables: {
          "--row": String(1 + (index % 2)),
          "--left": percent(window.start),
          "--width": percent(window.end - window.start),
          "--before": `${(100 * (window.owned_start - window.start)) / (window.end - window.start)}%`,
          "--after": `${(100 * (window.end - window.owned_end)) / (window.end - window.start)}%`,
        },
      },
      windows.length <= 24 ? String(index + 1) : "",
    ),
  );
  const strip = el("div", { class: "bricks", attributes: { role: "group", "aria-label": "Windows; move with the arrow keys" } }, bricks);
  roving(strip, ".brick");
  return strip;
}

/** Tokens in their windows: a part of them, which grows, and begins elsewhere when a token far away is pinned. */
function tokenFlow(journey, { tracer, spans, hues }) {
  const node = el("div", { class: "tokens scroll", attributes: { role: "group", "aria-label": "Tokens; move with the arrow keys" } });
  const windows = new Map(journey.windows.length > 1 ? journey.windows.map((window, index) => [window.owned_start, index]) : []);
  const inSpan = spansOfTokens(journey, spans);
  let begin = 0;
  let end = 0;
  const add = () => {
    const next = Math.min(journey.tokens.length, end + TOKENS);
    for (; end < next; end += 1) {
      if (windows.has(end)) node.append(el("span", { class: "window-name" }, `window ${count(windows.get(end) + 1)}`));
      const chip = journey.tokenChip(end, { joined: end > begin && !windows.has(end), tag: "button" });
      if (end === begin) chip.tabIndex = 0;
      if (inSpan.has(end)) {
        chip.classList.add("found");
        chip.style.setProperty("--h", hues.of(inSpan.get(end).hue));
      }
      node.append(chip);
    }
    return end < journey.tokens.length;
  };
  const beginAt = (index) => {
    begin = end = index;
    const earlier = el("button", { class: "more", attributes: { type: "button" }, on: { click: () => beginAt(0) } }, `${counted(index, "token")} before`);
    node.replaceChildren(...(index ? [earlier] : []));
    inPortions(node, add, () => `${count(journey.tokens.length - end)} more tokens`);
  };
  beginAt(0);
  roving(node, ".token");
  tracer.listeners.push((target, pinned) => {
    for (const one of node.querySelectorAll(".token.on")) one.classList.remove("on");
    if (!target || target === tracer.resting) return;
    const ranges = target.routes.map((route) => journey.tokensIn(route.at(-1)));
    const [first] = ranges[0];
    if (pinned === target && (first < begin || first >= end)) beginAt(Math.max(0, first - BEFORE));
    for (const [from, to] of ranges) {
      for (let index = Math.max(from, begin); index < Math.min(to, end); index += 1) node.querySelector(`[data-token="${index}"]`)?.classList.add("on");
    }
    const lit = pinned === target && node.querySelector(".token.on");
    if (lit) bringIntoView(node, lit.getBoundingClientRect());
  });
  return node;
}

/** Return the innermost span of each token that is in one. */
function spansOfTokens(journey, spans) {
  const found = new Map();
  for (const span of spans.toSorted((one, other) => other.end - other.start - (one.end - one.start))) {
    const [first, last] = journey.tokensIn(journey.alignment.fromRaw(span.start, span.end).at(-1));
    for (let index = first; index < last; index += 1) found.set(index, span);
  }
  return found;
}
