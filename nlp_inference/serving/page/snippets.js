// The request of the page as code, and the state of the page as a link.

import { address, body, query } from "./api.js";

const MAX_LINK = 30_000;

/** Return the prediction as code: `{name, code}`. The API key is read from the environment, and never written. */
export function snippets(state, { key }) {
  return [
    { name: "curl", code: curl(state, key) },
    { name: "Python", code: python(state, key) },
    { name: "JavaScript", code: javascript(state, key) },
  ];
}

/** Quote a text for a POSIX shell. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Write a text as a literal of Python and JavaScript, with escapes for what editors do not show. */
const literal = (text) =>
  JSON.stringify(text).replaceAll(/[\u007f-\u009f\u200b\u2028-\u202e\u2060-\u206f\ufeff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

function curl(state, key) {
  const url = address(`documents${query({ ...state, offsets: "codepoint", explain: false })}`);
  const header = key ? ' \\\n  --header "Authorization: Bearer $API_KEY"' : "";
  return `curl ${quoted(url)}${header} \\\n  --json ${quoted(JSON.stringify(body(state)))}`;
}

function python(state, key) {
  const { model, head } = state;
  const parameters = [model && `"model": ${literal(model)}`, head && `"heads": ${literal(head)}`].filter(Boolean);
  const pair = state.pair === null ? "" : `, "text_pair": ${literal(state.pair)}`;
  const lines = [
    ...(key ? ["import os", ""] : []),
    "import requests",
    "",
    "response = requests.post(",
    `    ${literal(address("documents"))},`,
    parameters.length ? `    params={${parameters.join(", ")}},` : null,
    key ? '    headers={"Authorization": f"Bearer {os.environ[\'API_KEY\']}"},' : null,
    `    json={"text": ${literal(state.text)}${pair}},`,
    "    timeout=30,",
    ")",
    "response.raise_for_status()",
    'for span in response.json()["predicted"]["spans"]:',
    '    print(span["start"], span["end"], span["label"], span["score"])',
  ];
  return lines.filter((line) => line !== null).join("\n");
}

function javascript(state, key) {
  const pair = state.pair === null ? "" : `, text_pair: ${literal(state.pair)}`;
  const url = address(`documents${query({ ...state, explain: false })}`);
  return `const text = ${literal(state.text)};

const response = await fetch(${literal(url)}, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",${key ? "\n    Authorization: `Bearer ${process.env.API_KEY}`," : ""}
  },
  body: JSON.stringify({ text${pair} }),
});
if (!response.ok) throw new Error(await response.text());

// With offsets=utf-16, offsets count as JavaScript does, also after emoji.
for (const span of (await response.json()).predicted.spans) {
  console.log(span.label, text.slice(span.start, span.end), span.score);
}`;
}

/** Return the fragment of a link to this state; null if the text is too long for a link. */
export function fragment({ model, head, threshold, text, pair }) {
  const fields = new URLSearchParams();
  if (model) fields.set("model", model);
  if (head) fields.set("head", head);
  if (threshold) fields.set("threshold", String(threshold));
  fields.set("text", text);
  if (pair !== null) fields.set("pair", pair);
  const written = `#${fields}`;
  return written.length <= MAX_LINK ? written : null;
}

/** Return the state in the fragment of the address; null if there is none. */
export function fromFragment(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  if (!fields.has("text")) return null;
  const threshold = Number(fields.get("threshold"));
  return {
    model: fields.get("model") ?? "",
    head: fields.get("head") ?? "",
    threshold: threshold >= 0 && threshold <= 1 ? threshold : 0,
    text: fields.get("text"),
    pair: fields.get("pair"),
  };
}
