// What a model found, in the form in which the page shows it: one list of spans over all heads, filtered by score.

/** The hue of each label: evenly spaced, and far apart for neighbors in the list of a model. */
export class Hues {
  constructor(model) {
    const labels = Object.entries(model?.labels ?? {}).flatMap(([head, names]) => names.map((label) => named(head, label)));
    const total = Math.max(labels.length, 5);
    const stride = strideOf(total);
    this.hues = new Map(labels.map((label, index) => [label, (FIRST + (360 * ((index * stride) % total)) / total) % 360]));
  }

  of(label) {
    const known = this.hues.get(label);
    if (known !== undefined) return known.toFixed(1);
    return String([...label].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) % 9973, 7) % 360);
  }
}

const FIRST = 255;

/** Return a step near 0.382 of a circle that reaches every one of `total` places. */
function strideOf(total) {
  const divisor = (one, other) => (other ? divisor(other, one % other) : one);
  for (let step = Math.round(total * 0.382); ; step += 1) if (divisor(step, total) === 1) return step;
}

const named = (head, label) => (head ? `${head}/${label}` : label);

/**
 * Return the part of a prediction that is shown.
 *
 * `head`: the head to show; "" for all. `threshold`: the least score of spans, relations and categories.
 * Returns `{groups, spans, relations, hidden}`: the annotation of each head, all spans in the order of the text with
 * the name of their head in the label, relations between these, and how many spans and relations score too low.
 */
export function shownPart(predicted, { head, threshold }) {
  const heads = Object.entries(predicted.heads ?? {}).filter(([name]) => !head || name === head);
  const groups = heads.length ? heads.map(([name, annotation]) => ({ head: name, annotation })) : [{ head: "", annotation: predicted }];
  const several = groups.length > 1;
  const enough = (one) => one.score === null || one.score >= threshold;
  const spans = [];
  const relations = [];
  let hidden = 0;
  for (const group of groups) {
    const found = group.annotation.spans.map((span) => ({ ...span, hue: named(group.head, span.label), label: several ? named(group.head, span.label) : span.label }));
    const kept = found.filter(enough);
    const related = group.annotation.relations
      .map((one) => ({ ...one, hue: named(group.head, one.label), from: found[one.head], to: found[one.tail] }))
      .filter((one) => enough(one) && enough(one.from) && enough(one.to));
    hidden += found.length - kept.length + group.annotation.relations.length - related.length;
    spans.push(...kept);
    relations.push(...related);
  }
  spans.sort((one, other) => one.start - other.start || other.end - one.end || one.label.localeCompare(other.label));
  spans.forEach((span, index) => (span.index = index));
  return { groups, spans, relations, hidden };
}

/** Give each span a lane: of spans that overlap, the shortest has the lowest one. */
export function withLanes(spans) {
  let cluster = [];
  let end = -1;
  const place = () => {
    const placed = [];
    for (const span of cluster.toSorted((one, other) => one.end - one.start - (other.end - other.start))) {
      const taken = new Set(placed.filter((other) => other.start < span.end && span.start < other.end).map((other) => other.lane));
      for (span.lane = 0; taken.has(span.lane); ) span.lane += 1;
      placed.push(span);
    }
  };
  for (const span of spans) {
    if (span.start >= end) {
      place();
      cluster = [];
    }
    cluster.push(span);
    end = Math.max(end, span.end);
  }
  place();
  return spans;
}

/** What the model did not see of a text: `{start, end, kind}`, sorted. */
export function notSeen(coverage, suffix = "") {
  return ["unread", "deleted", "unknown"]
    .flatMap((kind) => (coverage[`${kind}${suffix}`] ?? []).map(([start, end]) => ({ start, end, kind })))
    .sort((one, other) => one.start - other.start);
}

/** Count the labels of spans, in the order of their first occurrence: `[[label, {count, hue}]]`. */
export function labelCounts(spans) {
  const counts = new Map();
  for (const span of spans) {
    const one = counts.get(span.label) ?? { count: 0, hue: span.hue };
    one.count += 1;
    counts.set(span.label, one);
  }
  return [...counts];
}
