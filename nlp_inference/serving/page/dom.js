// Building of elements. No text ever becomes markup: it enters the page as a text node or an attribute.

/**
 * Create an element.
 *
 * `options`: `class`, `attributes` (null is left out), `data`, `variables` (CSS custom properties), `on` (listeners).
 * `children`: nodes, strings, null, or arrays of them.
 */
export function el(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  if (options.class) node.className = options.class;
  for (const [name, value] of Object.entries(options.attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, value] of Object.entries(options.data ?? {})) node.dataset[name] = value;
  for (const [name, value] of Object.entries(options.variables ?? {})) node.style.setProperty(name, value);
  for (const [name, listener] of Object.entries(options.on ?? {})) node.addEventListener(name, listener);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace the children of an element. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

const number = new Intl.NumberFormat("en");

/** Write a number with separators. */
export const count = (value) => number.format(value);

/** Write a number with its noun. */
export const counted = (value, noun) => `${number.format(value)} ${noun}${value === 1 ? "" : "s"}`;

/** Begin a text with a capital letter. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Write a score with two digits. 1.00 and 0.00 only stand for exactly 1 and 0. */
export function score(value) {
  if (value > 0.995 && value < 1) return ">.99";
  if (value < 0.005 && value > 0) return "<.01";
  return Math.abs(value) > 1 ? value.toPrecision(3) : value.toFixed(2);
}

// Control characters except the line feed, bidirectional embeddings, overrides and isolates, zero-width spaces, line
// separators, tags, the byte order mark, lone surrogates. Joiners and directional marks remain: Persian and emoji
// need them.
const HIDDEN =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;
const GLYPHS = { "\n": "⏎", "\t": "⇥", "\u00a0": "⍽" };

/** Return a visible glyph for an invisible character. */
export function glyph(character) {
  return GLYPHS[character] ?? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Split a text at its invisible characters: `[{text, hidden}]`. */
export function visibleParts(text) {
  const parts = [];
  let position = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > position) parts.push({ text: text.slice(position, match.index), hidden: false });
    parts.push({ text: match[0], hidden: true });
    position = match.index + match[0].length;
  }
  if (position < text.length) parts.push({ text: text.slice(position), hidden: false });
  return parts;
}

/** Return a text on one line, with glyphs in place of invisible characters; the middle of a long one is left out. */
export function oneLine(text, { limit = 80, blanks = false } = {}) {
  let shown = text;
  if (shown.length > limit) {
    shown = `${slice(shown, 0, Math.ceil(limit * 0.6))} … ${slice(shown, shown.length - Math.floor(limit * 0.3))}`;
  }
  shown = visibleParts(shown)
    .map((part) => (part.hidden ? bracketed(glyph(part.text)) : part.text))
    .join("")
    .replaceAll("\n", "⏎");
  return blanks ? shown.replaceAll("\u00a0", "⍽").replaceAll(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length)) : shown;
}

const bracketed = (sign) => (sign.length > 1 ? `⟨${sign}⟩` : sign);

/** Slice a text without cutting a surrogate pair. */
export function slice(text, start, end = text.length) {
  const inside = (position) => /[\udc00-\udfff]/.test(text[position] ?? "") && /[\ud800-\udbff]/.test(text[position - 1] ?? "");
  return text.slice(inside(start) ? start - 1 : start, inside(end) ? end - 1 : end);
}

/** Let arrow keys move within a group that is one stop of the tabulator; `selector` selects its members. */
export function roving(container, selector) {
  container.addEventListener("keydown", (event) => {
    const members = [...container.querySelectorAll(selector)];
    const at = members.indexOf(document.activeElement);
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: members.length - 1 };
    const next = members[moves[event.key]];
    if (at < 0 || !next) return;
    event.preventDefault();
    members[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

/** Copy a text, and say so on the button for a moment. */
export async function copy(text, button) {
  let done = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = "Not allowed";
  }
  button.dataset.label ??= button.textContent;
  button.textContent = done;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => (button.textContent = button.dataset.label), 1600);
}

/** Connect the button that switches between light and dark. */
export function connectTheme(button) {
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const label = () => button.setAttribute("aria-label", dark() ? "Use the light theme" : "Use the dark theme");
  button.addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("nlp-inference-theme", theme);
    } catch {
      // The choice lasts as long as the page.
    }
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
}
