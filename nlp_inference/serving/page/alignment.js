// The map between a raw text and the text after each transform. Offsets are UTF-16 code units, as in all of JavaScript.

/** The edits of one transform: `[start, end, replacement]` on the text before it, in order and without overlap. */
class EditMap {
  constructor(edits) {
    this.edits = edits;
    this.shifts = []; // of what follows each edit
    let shift = 0;
    for (const [start, end, replacement] of edits) this.shifts.push((shift += replacement.length - (end - start)));
  }

  /** The range that edit `index` has after the transform. */
  after(index) {
    const [start, , replacement] = this.edits[index];
    const from = start + (index ? this.shifts[index - 1] : 0);
    return [from, from + replacement.length];
  }

  /** The last edit whose range begins at or before a position, -1 if there is none. */
  #last(position, rangeOf) {
    let low = 0;
    let high = this.edits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rangeOf(middle)[0] <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Map a range of the text before to the text after; what was deleted becomes empty. */
  forward(start, end) {
    return this.#mapped(start, end, (index) => this.edits[index].slice(0, 2), (index) => this.after(index), 1);
  }

  /** Map a range of the text after to the text before. */
  backward(start, end) {
    return this.#mapped(start, end, (index) => this.after(index), (index) => this.edits[index].slice(0, 2), -1);
  }

  #mapped(start, end, from, to, sign) {
    const move = (position, edge) => {
      const index = this.#last(position, from);
      if (index < 0) return position + edge;
      return position < from(index)[1] ? to(index)[edge] : position + edge + sign * this.shifts[index];
    };
    if (start >= end) return [move(start, 0), move(start, 0)];
    const mapped = [move(start, 0), move(end - 1, 1)];
    return mapped[0] <= mapped[1] ? mapped : [mapped[0], mapped[0]];
  }
}

/** Return a text with edits applied. */
export function applied(text, edits) {
  const pieces = [];
  let position = 0;
  for (const [start, end, replacement] of edits) {
    pieces.push(text.slice(position, start), replacement);
    position = end;
  }
  pieces.push(text.slice(position));
  return pieces.join("");
}

/** A raw text, and what each transform made of it. */
export class Alignment {
  constructor(raw, records) {
    this.records = records;
    this.maps = records.map((record) => new EditMap(record.edits));
    this.texts = [raw];
    for (const record of records) this.texts.push(applied(this.texts.at(-1), record.edits));
  }

  get raw() {
    return this.texts[0];
  }

  get current() {
    return this.texts.at(-1);
  }

  /** Return the range at every level, from the raw text to the current one. */
  fromRaw(start, end) {
    const ranges = [[start, end]];
    for (const map of this.maps) ranges.push(map.forward(...ranges.at(-1)));
    return ranges;
  }

  /** The same for a range of the current text. */
  fromCurrent(start, end) {
    const ranges = [[start, end]];
    for (const map of this.maps.toReversed()) ranges.unshift(map.backward(...ranges[0]));
    return ranges;
  }

  /** Return the ranges of the raw text that edits removed or replaced by white space or punctuation, at most `limit`. */
  removed(limit = 20_000) {
    const found = [];
    for (const [level, record] of this.records.entries()) {
      for (const [start, end, replacement] of record.edits) {
        if (found.length >= limit) return found;
        if (start === end || /[\p{L}\p{N}]/u.test(replacement)) continue;
        let range = [start, end];
        for (let below = level - 1; below >= 0; below -= 1) range = this.maps[below].backward(...range);
        if (range[0] < range[1]) found.push({ start: range[0], end: range[1] });
      }
    }
    return found;
  }
}
