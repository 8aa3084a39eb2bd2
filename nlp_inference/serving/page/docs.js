// The documentation of the endpoints, made from the OpenAPI document of this server.

import { address, openapi } from "./api.js";
import { byId, connectTheme, copy, el, fill, sentence } from "./dom.js";
import { example, fieldsOf, referenced, typeOf } from "./schema.js";
import { quoted } from "./snippets.js";

const MAX_DEPTH = 4;
const EXAMPLES = { model: "MODEL", head: "HEAD" };

async function start() {
  try {
    draw(await openapi());
  } catch (error) {
    fill(byId("failure"), el("strong", {}, error.message), ` ${error.advice ?? ""}`);
    byId("failure").hidden = false;
  }
}

function draw(document) {
  fill(byId("introduction"), prose(document.info.description ?? ""), ` Version ${document.info.version}.`);
  const tags = byTag(document);
  fill(
    byId("contents"),
    tags.map(([tag, operations]) => [
      el("h2", {}, tag),
      operations.map((one) => el("a", { attributes: { href: `#${idOf(one)}` } }, badge(one), el("span", {}, one.path))),
    ]),
  );
  fill(
    byId("endpoints"),
    tags.map(([tag, operations]) => [el("h2", { class: "tag-name" }, tag), operations.map((one) => operation(one, document))]),
  );
  if (location.hash) window.document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function byTag(document) {
  const tags = new Map();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      const tag = details.tags?.[0] ?? "Other";
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push({ path, method, ...details });
    }
  }
  return [...tags];
}

const idOf = ({ method, path }) => `${method}${path.replaceAll(/[^A-Za-z0-9]+/g, "-")}`;
const badge = ({ method }) => el("span", { class: `method ${method === "get" ? "get" : "post"}` }, method.toUpperCase());

/** A description: what is between backquotes is code. */
function prose(text) {
  return sentence(text).split(/`([^`]*)`/).map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

function operation(one, document) {
  const lock = one.security && el("span", { class: "lock" }, one.responses["403"] ? "administrator's key" : "API key");
  const body = one.requestBody?.content ?? {};
  return el(
    "article",
    { class: "operation", attributes: { id: idOf(one) } },
    el("h3", {}, badge(one), el("a", { attributes: { href: `#${idOf(one)}` } }, one.path), lock),
    el("p", { class: "summary" }, prose(one.summary ?? "")),
    one.description && el("p", { class: "summary" }, prose(one.description)),
    code(curl(one, document)),
    parameters(one.parameters ?? []),
    Object.entries(body).map(([type, { schema }]) => [el("h4", {}, `Body, ${type}`), bodies(schema, document, { sent: true })]),
    responses(one.responses, document),
  );
}

function code(text) {
  const button = el("button", { class: "quiet", attributes: { type: "button" } }, "Copy");
  button.addEventListener("click", () => copy(text, button));
  const box = el("pre", { attributes: { tabindex: "0", role: "group", "aria-label": "Example" } }, text);
  return [el("h4", {}, "Example"), el("div", { class: "with-button" }, box, button)];
}

function curl(one, document) {
  const path = one.path.replaceAll(/\{(\w+)\}/g, (_, name) => EXAMPLES[name] ?? name.toUpperCase());
  const parts = [`curl ${one.method === "get" || one.requestBody ? "" : "--request POST "}${quoted(address(path.slice(1)))}`];
  if (one.security) parts.push('--header "Authorization: Bearer $API_KEY"');
  for (const [type, { schema }] of Object.entries(one.requestBody?.content ?? {})) {
    const body = JSON.stringify(example(schema, document));
    parts.push(type === "application/json" ? `--json ${quoted(body)}` : `--header ${quoted(`Content-Type: ${type}`)} \\\n  --data-binary ${quoted(`${body}\n`)}`);
  }
  return parts.join(" \\\n  ");
}

function parameters(given) {
  if (!given.length) return null;
  const rows = given.map(({ name, in: place, required, description, schema }) => row(name, required ? `${place}, required` : place, typeOf(schema), description, schema.default));
  return [el("h4", {}, "Parameters"), el("dl", { class: "fields" }, rows)];
}

function row(name, note, type, description, preset, ...nested) {
  const usual = preset === undefined || preset === null ? "" : `, default ${JSON.stringify(preset)}`;
  return [
    el("dt", {}, name, note && el("small", {}, note)),
    el("dd", {}, el("span", { class: "type" }, `${type}${usual}`), description && el("p", {}, prose(description)), nested),
  ];
}

/** The alternatives of a body, each with its fields; `sent`: whether it is that of a request. */
function bodies(schema, document, { sent }) {
  const alternatives = schema.anyOf ?? [schema];
  return alternatives.map((one, index) => {
    const { name, fields, description } = fieldsOf(one, document);
    const title = `${index ? "or " : ""}${name || typeOf(one)}`;
    return [
      el("p", { class: "alternative" }, title, description && [": ", prose(description)]),
      fields.length > 0 && el("dl", { class: "fields" }, fields.map((field) => fieldRow(field, document, { sent, depth: 0 }))),
    ];
  });
}

function fieldRow({ name, schema, required, description }, document, { sent, depth }) {
  const inner = depth < MAX_DEPTH ? referenced(schema) : [];
  const nested = inner.map((one) => nestedFields(one, document, { sent, depth: depth + 1 }));
  return row(name, sent && required ? "required" : "", typeOf(schema), description ?? schema.description, required ? undefined : schema.default, nested);
}

/** The fields of a type in a type, which are made when they are opened. */
function nestedFields(schema, document, options) {
  const { name, fields } = fieldsOf(schema, document);
  if (!fields.length) return null;
  const details = el("details", { class: "nested" }, el("summary", {}, name));
  details.addEventListener("toggle", () => details.append(el("dl", { class: "fields" }, fields.map((field) => fieldRow(field, document, options)))), { once: true });
  return details;
}

function responses(all, document) {
  const { 200: success, ...errors } = all;
  const content = Object.entries(success?.content ?? {});
  const rows = Object.entries(errors).map(([status, { description }]) => [el("dt", {}, status), el("dd", {}, description)]);
  return [
    content.map(([type, { schema }]) => [el("h4", {}, `Response 200, ${type}`), bodies(schema, document, { sent: false })]),
    rows.length > 0 && [el("h4", {}, "Errors"), el("dl", { class: "statuses" }, rows)],
  ];
}

connectTheme(byId("theme"));
start();
