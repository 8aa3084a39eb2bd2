// Reading of JSON schemas, as pydantic writes them.

const nameOf = (reference) => reference.split("/").at(-1);

/** Name the type of a value. */
export function typeOf(schema) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.map(typeOf).join(" | ");
  if (schema.type === "array") {
    if (schema.prefixItems) return `[${schema.prefixItems.map(typeOf).join(", ")}]`;
    const item = schema.items ? typeOf(schema.items) : "any";
    return item.includes(" | ") ? `(${item})[]` : `${item}[]`;
  }
  if (schema.type === "object") {
    const values = schema.additionalProperties;
    return values && typeof values === "object" && Object.keys(values).length ? `object of ${typeOf(values)}` : "object";
  }
  return schema.type ?? "any";
}

/** Return the schemas with a name that a schema contains. */
export function referenced(schema) {
  if (schema.$ref) return [schema];
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.prefixItems ?? []), schema.items, schema.additionalProperties];
  return inner.filter((one) => one && typeof one === "object").flatMap(referenced);
}

/** Return the name, the description and the fields of an object: `{name, schema, required, description}`. */
export function fieldsOf(schema, document) {
  const name = schema.$ref ? nameOf(schema.$ref) : "";
  const found = schema.$ref ? document.components.schemas[name] : schema;
  if (!found?.properties) {
    const inner = name ? [] : referenced(schema);
    return inner.length === 1 ? { ...fieldsOf(inner[0], document), name: typeOf(schema) } : { name, fields: [], description: "" };
  }
  const { summary, described } = docstring(found.description ?? "");
  const required = new Set(found.required ?? []);
  const fields = Object.entries(found.properties).map(([field, one]) => ({ name: field, schema: one, required: required.has(field), description: described.get(field) }));
  return { name, fields, description: summary };
}

/** Split a docstring into its first paragraph and the descriptions of its arguments. */
function docstring(text) {
  const [summary] = text.split("\n\n");
  const block = /(?:^|\n)(?:Args|Attributes):\n([\s\S]*?)(?=\n\n\S|\n[A-Z]\w+:\n|$)/.exec(text)?.[1] ?? "";
  const described = new Map();
  let names = [];
  for (const line of block.split("\n")) {
    const start = /^\s{4}([\w, ]+): (.*)$/.exec(line);
    if (start) {
      names = start[1].split(", ");
      for (const one of names) described.set(one, start[2]);
    } else for (const one of names) described.set(one, `${described.get(one)} ${line.trim()}`);
  }
  return { summary: summary.replaceAll("\n", " "), described };
}

const TEXTS = { text: "Ana Lopez lives in Lisbon.", inputs: "Ana Lopez lives in Lisbon.", instances: "Ana Lopez lives in Lisbon.", language: "en" };

/** Return an example of a value: the required fields, and the first of several types. */
export function example(schema, document, name = "") {
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.$ref) return example(document.components.schemas[nameOf(schema.$ref)], document, name);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return example(several.find((one) => one.type !== "null") ?? several[0], document, name);
  if (schema.type === "array") return schema.items ? [example(schema.items, document, name)] : [];
  if (schema.properties) {
    const wanted = schema.required ?? [];
    return Object.fromEntries(wanted.map((field) => [field, example(schema.properties[field], document, field)]));
  }
  if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 0;
  if (schema.type === "boolean") return false;
  if (schema.type === "object") return {};
  return TEXTS[name] ?? "Ana Lopez lives in Lisbon.";
}
