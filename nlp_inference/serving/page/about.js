// Facts about a model, and its card.

import { byId, count, counted, el, fill, oneLine } from "./dom.js";

/** One line about a model, next to its name. */
export function facts(model) {
  const labels = Object.values(model.labels).reduce((sum, one) => sum + one.length, 0);
  return [
    model.task,
    model.heads.length ? counted(model.heads.length, "head") : "",
    labels ? counted(labels, "label") : "",
    `${model.backend} ${model.dtype}`,
    model.verified ? "verified" : "not verified",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Connect the dialog. `model()` returns the model to describe. */
export function connectAbout(model) {
  const dialog = byId("about");
  byId("about-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("about-button").addEventListener("click", () => {
    const one = model();
    if (!one) return;
    fill(byId("about-title"), oneLine(one.name));
    fill(byId("about-content"), describe(one));
    dialog.showModal();
  });
}

function describe(model) {
  const labels = Object.entries(model.labels).filter(([, names]) => names.length);
  const rows = [
    ["Task", model.task],
    ["Runs on", `${model.backend} ${model.dtype}, ${model.device}`],
    ["Window", counted(model.max_length, "token")],
    ["Before the model", model.preprocess.join(", ") || "nothing"],
    ["After the model", model.postprocess.join(", ") || "nothing"],
    ["Golden records", model.verified ? "replayed when the model was loaded" : "not replayed"],
    ["Revision", model.revision],
    ...labels.map(([head, names]) => [head ? `Labels of ${head}` : "Labels", `${names.slice(0, 200).map((one) => oneLine(one)).join(", ")}${names.length > 200 ? ` and ${count(names.length - 200)} more` : ""}`]),
  ];
  return [
    el("dl", { class: "about-facts" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    model.card && el("h3", {}, "Model card"),
    model.card && el("pre", { class: "card", attributes: { tabindex: "0", role: "group", "aria-label": "Model card" } }, model.card.replace(/^---\n[\s\S]*?\n---\n+/, "")),
  ];
}
