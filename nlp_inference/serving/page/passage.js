// A text on the page: its characters at their offsets, spans, changes, and what the model did not see.

import { withLanes } from "./annotation.js";
import { count, el, glyph, oneLine, score, slice, visibleParts } from "./dom.js";

const CHUNK = 12_000; // characters that are added to the page at once
const MOST_REVEALED = 40; // portions that are added to reach what was pinned
const MAX_LANE = 5; // of lines below the text
const WHY = {
  unread: "not read by the model",
  deleted: "deleted by preprocessing",
  unknown: "unknown to the tokenizer",
};

/** The nodes that show a text, by offset, so that any range of it can be highlighted. */
export class TextView {
  constructor() {
    this.parts = [];
  }

  /** Append a part of the text; `start` is its offset. Invisible characters become glyphs. */
  add(parent, text, start) {
    let position = start;
    for (const part of visibleParts(text)) {
      const node = part.hidden ? el("span", { class: "glyph" }, glyph(part.text)) : document.createTextNode(part.text);
      parent.append(node);
      this.mark(node, position, position + part.text.length, { whole: part.hidden });
      position += part.text.length;
    }
  }

  /** Register a node that shows a range; `whole`: it can only be highlighted as one. */
  mark(node, start, end, { whole }) {
    this.parts.push({ node, start, end, whole });
  }

  /** Scroll the box in which a range is shown, so that it is visible. */
  scrollTo(box, start, end) {
    box.reveal?.(() => (this.parts.at(-1)?.end ?? 0) > start);
    const [range] = this.ranges(start, end, 1);
    if (range) bringIntoView(box, range.getBoundingClientRect());
  }

  /** Return DOM ranges for a range of the text. */
  ranges(start, end, limit = 400) {
    let low = 0;
    for (let high = this.parts.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.parts[middle].end <= start) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (; low < this.parts.length && found.length < limit && this.parts[low].start < end; low += 1) {
      const part = this.parts[low];
      const range = new Range();
      if (part.whole) range.selectNodeContents(part.node);
      else {
        range.setStart(part.node, Math.max(start - part.start, 0));
        range.setEnd(part.node, Math.min(end, part.end) - part.start);
      }
      found.push(range);
    }
    return found;
  }
}

/** Scroll a box, and not the page, so that a rectangle in it is visible. */
export function bringIntoView(box, rectangle) {
  const frame = box.getBoundingClientRect();
  if (rectangle.top < frame.top || rectangle.bottom > frame.bottom) box.scrollTop += rectangle.top - frame.top - frame.height / 3;
}

/**
 * Add content to an element in portions: the next one when the reader comes near it.
 *
 * `add()` adds one, and returns false at the end. The element gets a method `reveal(test)`, which adds portions until
 * the test is true.
 */
export function inPortions(parent, add, label) {
  const button = el("button", { class: "more", attributes: { type: "button" } });
  parent.reveal = (test) => {
    for (let left = MOST_REVEALED; left > 0 && button.isConnected && !test(); left -= 1) next();
  };
  if (!add()) return;
  button.textContent = label();
  const next = () => {
    button.remove();
    observer.unobserve(button);
    if (!add()) return;
    button.textContent = label();
    parent.append(button);
    observer.observe(button); // again: it may still be in view
  };
  const observer = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && next(), { rootMargin: "200px" });
  button.addEventListener("click", next);
  parent.append(button);
  observer.observe(button);
}

/** Split a text at the bounds of layers; each layer has sorted `{start, end}`. Yields `{start, end, active}`. */
function* pieces(length, layers) {
  const items = layers.flatMap((layer, number) => layer.map((item) => ({ item, number }))).sort((one, other) => one.item.start - other.item.start);
  const bounds = items.flatMap(({ item }) => [item.start, item.end]);
  for (let bound = 0; bound < length; bound += CHUNK) bounds.push(bound);
  const cuts = [...new Set([...bounds, length])].sort((one, other) => one - other);
  let next = 0;
  let active = [];
  for (let index = 0; index + 1 < cuts.length; index += 1) {
    const start = cuts[index];
    active = active.filter(({ item }) => item.end > start);
    for (; next < items.length && items[next].item.start === start; next += 1) active.push(items[next]);
    const at = (number) => active.filter((one) => one.number === number).map(({ item }) => item);
    yield { start, end: cuts[index + 1], spans: at(0), gaps: at(1), removed: at(2) };
  }
}

/**
 * Return an element with a text.
 *
 * `spans`: with `hue` and `index`, in the order of the text. `gaps`: what the model did not see. `removed`: what
 * preprocessing removed. `hues`: the colors of labels. `view`: registers the nodes.
 */
export function passage({ text, spans = [], gaps = [], removed = [], hues, view }) {
  const node = el("div", { class: "passage", attributes: { dir: "auto" } });
  const all = pieces(text.length, [withLanes(spans), gaps, removed]);
  node.style.setProperty("--lanes", spans.reduce((most, span) => Math.max(most, lane(span)), 0));
  let shown = 0;
  const add = () => {
    const chunk = el("span");
    const until = shown + CHUNK;
    while (shown < until) {
      const { value: piece, done } = all.next();
      if (done) break;
      addPiece(chunk, piece, { text, hues, view });
      shown = piece.end;
    }
    node.append(chunk);
    return shown < text.length;
  };
  inPortions(node, add, () => `${count(text.length - shown)} more characters`);
  return node;
}

function addPiece(parent, piece, { text, hues, view }) {
  const [gap] = piece.gaps;
  const marks = piece.spans.toSorted((one, other) => one.lane - other.lane);
  const classes = [marks.length && "mark", gap && `gap ${gap.kind}`, piece.removed.length && !marks.length && "removed"].filter(Boolean);
  let target = parent;
  if (classes.length) {
    target = el("span", { class: classes.join(" "), attributes: { title: gap && WHY[gap.kind] } });
    if (marks.length) dress(target, piece, marks, hues);
    parent.append(target);
  }
  view.add(target, text.slice(piece.start, piece.end), piece.start);
  for (const mark of marks.filter((one) => one.end === piece.end)) parent.append(chip(mark, text, hues));
}

const lane = (span) => Math.min(span.lane, MAX_LANE);

/** Color a piece by its innermost span, and draw a line for each. */
function dress(target, piece, marks, hues) {
  const [inner] = marks;
  const top = lane(marks.at(-1));
  target.dataset.span = inner.index;
  target.classList.toggle("opens", marks.some((mark) => mark.start === piece.start));
  target.style.setProperty("--h", hues.of(inner.hue));
  if (top === 0) return;
  const line = (hue) => `light-dark(oklch(0.6 0.14 ${hue}), oklch(0.74 0.13 ${hue}))`;
  target.style.backgroundImage = marks.map((mark) => `linear-gradient(${line(hues.of(mark.hue))} 0 0)`).join(", ");
  target.style.backgroundPosition = marks.map((mark) => `0 calc(100% - ${(top - lane(mark)) * 4}px)`).join(", ");
  target.style.paddingBottom = `${3 + top * 4}px`;
}

function chip(mark, text, hues) {
  const value = mark.score === null ? "" : score(mark.score);
  const surface = oneLine(slice(text, mark.start, mark.end), { limit: 60 });
  const label = oneLine(mark.label, { limit: 40 });
  return el(
    "span",
    {
      class: "chip",
      attributes: { role: "button", tabindex: "0", "aria-pressed": "false", "aria-label": `${label} ${value}: ${surface}` },
      data: { span: mark.index },
      variables: { "--h": hues.of(mark.hue) },
    },
    label,
    value && el("i", {}, ` ${value}`),
  );
}
