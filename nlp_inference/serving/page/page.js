// The page: what was typed, the request, and what is drawn from its response.

import { connectAbout, facts } from "./about.js";
import { Hues, notSeen, shownPart } from "./annotation.js";
import * as api from "./api.js";
import { byId, connectTheme, copy, count, counted, el, fill, oneLine, roving, sentence } from "./dom.js";
import { Journey, pairStages, stages } from "./journey.js";
import { passage, TextView } from "./passage.js";
import * as results from "./results.js";
import { samplesOf } from "./samples.js";
import { fragment, fromFragment, snippets } from "./snippets.js";
import { drawTrace, spokenTrace, Tracer } from "./trace.js";

const PAUSE = 350; // milliseconds without a key before a text is predicted

const state = { model: "", head: "", threshold: 0, text: "", pair: null };
const hiddenLabels = new Set();
const tracer = new Tracer();
let info = null;
let latest = null; // {text, pair, result, milliseconds}
let drawn = null; // {shown, journey}
let requests = 0;
let running = null;
let typing = 0;
let waiting = 0;
let language = 0;
let frame = 0;

const model = () => info?.models.find((one) => one.name === state.model);

// ---------------------------------------------------------------------------------------------------------- requests

async function connect() {
  clearTimeout(waiting);
  try {
    info = await api.info();
  } catch (error) {
    return fail(error, connect);
  }
  if (!info.models.length) return fail(new api.RequestFailed(503, "No model is ready yet."), connect);
  if (!model()) state.model = info.models.some((one) => one.name === info.default) ? info.default : info.models[0].name;
  drawModels();
  if (!state.text) useSample(samplesOf(model())[0]);
  else restore();
  return predict();
}

async function predict() {
  clearTimeout(typing);
  clearTimeout(waiting);
  running?.abort();
  drawSnippets();
  const number = ++requests;
  if (!info) return;
  if (!state.text || (state.pair === null && model()?.needs_pair)) return drawNothing();
  const sent = { model: state.model, text: state.text, pair: state.pair };
  running = new AbortController();
  byId("results").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const result = await api.predict({ ...sent, signal: running.signal });
    if (number !== requests) return; // a later text was sent
    latest = { ...sent, result, milliseconds: performance.now() - started };
    succeed();
  } catch (error) {
    if (number === requests && error.name !== "AbortError") fail(error, predict);
  }
}

function succeed() {
  byId("results").setAttribute("aria-busy", "false");
  byId("failure").hidden = true;
  draw();
}

function fail(error, again) {
  byId("results").setAttribute("aria-busy", "false");
  const known = error instanceof api.RequestFailed ? error : new api.RequestFailed(-1, `The page failed: ${error.message}`);
  if (!(error instanceof api.RequestFailed)) console.error(error);
  const button = el("button", { attributes: { type: "button" }, on: { click: again } }, "Try again");
  const soon = known.waits ? ` It is sent again in ${counted(known.waits, "second")}.` : "";
  fill(byId("failure"), el("strong", {}, sentence(oneLine(known.message, { limit: 600 }))), ` ${known.advice}${soon}`, known.status !== 401 && button);
  byId("failure").hidden = false;
  if (latest?.text !== state.text) clearResults();
  if (known.status === 401) showKeyForm(true);
  if (known.waits) waiting = setTimeout(again, 1000 * known.waits);
}

// ----------------------------------------------------------------------------------------------------------- drawing

function clearResults() {
  tracer.reset();
  latest = drawn = null;
  for (const id of ["results", "stages", "pair-stages", "heads", "timing", "live"]) fill(byId(id));
  byId("pair-stages").hidden = byId("trace").hidden = true;
}

function drawNothing() {
  clearResults();
  byId("failure").hidden = true;
  byId("results").setAttribute("aria-busy", "false");
  const missing = state.text ? "This model reads a second text, too." : "There is no text yet. Type one, or choose a sample.";
  fill(byId("results"), el("p", { class: "empty" }, missing));
}

function draw() {
  const { text, pair, result, milliseconds } = latest;
  const hues = new Hues(model());
  if (state.head && !(state.head in (result.predicted.heads ?? {}))) state.head = "";
  const shown = shownPart(result.predicted, state);
  const labeled = shown.spans.filter((span) => !hiddenLabels.has(span.label));
  labeled.forEach((span, index) => (span.index = index));
  const journey = new Journey(text, result);
  tracer.reset();
  drawn = { spans: labeled, journey, hues };
  drawHeads(result.predicted.heads);
  fill(byId("timing"), `${count(Math.max(1, Math.round(milliseconds)))} ms`);
  byId("threshold-field").hidden = !results.hasScores(shown, result.predicted);
  fill(byId("results"), ...resultParts({ text, pair, shown, labeled, journey, hues }));
  drawStages({ shown, labeled, journey, hues, pair, result });
  tracer.listeners.push((target, pinned) => mark(target, pinned));
  tracer.resting = journey.example(labeled);
  tracer.preview(null);
  byId("live").textContent = results.spoken(shown, labeled, result.complete);
  drawSnippets();
}

function resultParts({ text, pair, shown, labeled, journey, hues }) {
  const { coverage } = journey;
  const gaps = notSeen(coverage);
  const pairGaps = notSeen(coverage, "_pair").map((gap) => ({ ...gap, text: pair }));
  const view = new TextView();
  const raw = passage({ text, spans: labeled, gaps, removed: journey.alignment.removed(), hues, view });
  tracer.register(view, 0, raw);
  raw.id = "passage";
  connectPassage(raw);
  const second = !pairGaps.length ? null : passage({ text: pair, gaps: pairGaps, hues, view: new TextView() });
  return [
    results.ofDocument(shown.groups, { hues, threshold: state.threshold }),
    shown.spans.length ? results.legend(shown.spans, { hues, hidden: hiddenLabels, toggle: toggleLabel }) : null,
    second && el("div", { class: "question" }, el("h3", {}, "Second text"), second),
    raw,
    results.note(shown, state.threshold),
    results.coverageNote([...gaps, ...pairGaps], { text, truncated: coverage.truncated }),
    results.relations(shown.relations, { text, hues, journey, tracer }),
    results.spanTable(labeled, { text, hues }),
  ];
}

function drawStages({ shown, labeled, journey, hues, pair, result }) {
  const steps = model()?.preprocess ?? [];
  const after = model()?.postprocess ?? [];
  const annotation = [...results.kinds(labeled, shown.groups), after.length ? `then ${after.join(", ")}` : ""].filter(Boolean).join(" · ");
  fill(byId("stages"), stages(journey, { steps, tracer, spans: labeled, hues, annotation }));
  byId("pair-stages").hidden = pair === null;
  if (pair !== null) {
    const unregistered = { register() {} };
    fill(byId("pair-stages"), ...pairStages(pair, { ...result, steps, tracer: unregistered }).filter(Boolean));
  }
}

function drawHeads(heads) {
  const names = Object.keys(heads ?? {});
  const box = byId("heads");
  box.hidden = names.length === 0;
  const button = (name, label) =>
    el("button", { attributes: { type: "button", "aria-pressed": String(state.head === name) }, on: { click: () => chooseHead(name) } }, label);
  fill(box, names.length > 0 && [button("", "All heads"), ...names.map((name) => button(name, oneLine(name)))]);
}

function drawModels() {
  const select = byId("model");
  fill(select, info.models.map((one) => el("option", { attributes: { value: one.name } }, one.name)));
  select.value = state.model;
  select.disabled = info.models.length < 2;
  fill(byId("model-facts"), facts(model()));
  const buttons = samplesOf(model()).map((sample) => el("button", { attributes: { type: "button" }, on: { click: () => (useSample(sample), predict()) } }, sample.name));
  fill(byId("samples"), buttons);
  showPair(state.pair !== null || model().needs_pair);
}

function drawSnippets() {
  const all = snippets(state, { key: Boolean(api.key.get()) });
  const tabs = all.map(({ name }, index) =>
    el(
      "button",
      {
        attributes: { type: "button", role: "tab", id: `language-${index}`, "aria-controls": "code", "aria-selected": String(index === language), tabindex: index === language ? "0" : "-1" },
        on: { click: () => chooseLanguage(index), focus: () => index !== language && chooseLanguage(index) },
      },
      name,
    ),
  );
  if (byId("languages").childElementCount !== tabs.length) fill(byId("languages"), tabs);
  [...byId("languages").children].forEach((tab, index) => tab.setAttribute("aria-selected", String(index === language)));
  byId("code").setAttribute("aria-labelledby", `language-${language}`);
  const { code } = all[language];
  fill(byId("code"), code.length > 4000 ? `${code.slice(0, 3000)}\n… ${count(code.length - 3600)} more characters; the button copies all …\n${code.slice(-600)}` : code);
}

// ----------------------------------------------------------------------------------------------------------- tracing

function connectPassage(node) {
  const target = (event) => {
    const found = event.target.closest?.("[data-span]");
    return found ? drawn.journey.ofSpan(drawn.spans[Number(found.dataset.span)]) : null;
  };
  node.addEventListener("mouseover", (event) => tracer.preview(target(event)));
  node.addEventListener("mouseleave", () => tracer.preview(null));
  node.addEventListener("focusin", (event) => tracer.preview(target(event)));
  node.addEventListener("focusout", () => tracer.preview(null));
  node.addEventListener("click", (event) => getSelection().isCollapsed && target(event) && tracer.pin(target(event)));
  node.addEventListener("keydown", (event) => {
    if (!event.target.matches(".chip") || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    tracer.pin(target(event));
  });
}

function connectStages(node) {
  const target = (event) => {
    const found = drawn && event.target.closest?.("button.token, .brick");
    if (!found) return null;
    return found.dataset.token === undefined ? drawn.journey.ofWindow(Number(found.dataset.window)) : drawn.journey.ofToken(Number(found.dataset.token));
  };
  for (const type of ["mouseover", "focusin"]) node.addEventListener(type, (event) => target(event) && tracer.preview(target(event)));
  for (const type of ["mouseout", "focusout"]) node.addEventListener(type, (event) => target(event) && tracer.preview(null));
  node.addEventListener("click", (event) => target(event) && tracer.pin(target(event)));
}

/** Mark the traced span in the text, and draw its trace. */
function mark(target, pinned) {
  for (const one of document.querySelectorAll("#passage .on")) one.classList.remove("on");
  for (const one of document.querySelectorAll('#passage .chip[aria-pressed="true"]')) one.setAttribute("aria-pressed", "false");
  if (target?.span && target !== tracer.resting) {
    for (const one of document.querySelectorAll(`#passage [data-span="${target.span.index}"]`)) one.classList.add("on");
  }
  if (pinned?.span) document.querySelector(`#passage .chip[data-span="${pinned.span.index}"]`)?.setAttribute("aria-pressed", "true");
  drawTrace(target, { journey: drawn.journey, hues: drawn.hues, postprocess: model()?.postprocess ?? [], pinned: pinned !== null && pinned === target });
  if (pinned && pinned === target) byId("live").textContent = spokenTrace();
}

// ----------------------------------------------------------------------------------------------------------- choices

function redraw() {
  if (latest) draw();
}

function chooseHead(name) {
  state.head = name;
  redraw();
  byId("heads").querySelector('[aria-pressed="true"]')?.focus();
}

function chooseLanguage(index) {
  language = index;
  drawSnippets();
  [...byId("languages").children].forEach((tab, at) => (tab.tabIndex = at === index ? 0 : -1));
}

function toggleLabel(label) {
  if (!hiddenLabels.delete(label)) hiddenLabels.add(label);
  redraw();
  const buttons = [...document.querySelectorAll(".legend-label")];
  buttons.find((one) => one.firstChild.data === oneLine(label, { limit: 40 }))?.focus();
}

function useSample(sample) {
  state.text = sample.text();
  state.pair = sample.pair ?? null;
  hiddenLabels.clear();
  restore();
}

function restore() {
  byId("text").value = state.text;
  byId("pair").value = state.pair ?? "";
  byId("threshold").value = String(state.threshold);
  fill(byId("threshold-value"), state.threshold.toFixed(2));
  showPair(state.pair !== null || Boolean(model()?.needs_pair));
  drawCounter();
}

function showPair(shown) {
  byId("pair-field").hidden = !shown;
  byId("pair-button").setAttribute("aria-expanded", String(shown));
  fill(byId("pair-button"), shown ? "Remove the second text" : "Add a second text");
  byId("pair-button").hidden = Boolean(model()?.needs_pair);
}

function showKeyForm(shown) {
  byId("key-form").hidden = !shown;
  byId("key-button").setAttribute("aria-expanded", String(shown));
  if (shown) byId("key").focus();
}

function drawCounter() {
  const length = [...state.text].length + [...(state.pair ?? "")].length;
  const limit = info?.limits.max_characters;
  const close = limit && length > 0.8 * limit ? ` of at most ${count(limit)}` : "";
  fill(byId("counter"), `${counted(length, "character")}${close}`);
}

/** Read the fields. Lone surrogates, which no encoding can write, become U+FFFD, as long in UTF-16. */
function read() {
  const well = (text) => (text.toWellFormed ? text.toWellFormed() : text.replace(/\p{Surrogate}/gu, "\ufffd"));
  state.text = well(byId("text").value);
  state.pair = byId("pair-field").hidden ? null : well(byId("pair").value) || null;
  drawCounter();
}

function connectWriting() {
  const typed = () => {
    read();
    clearTimeout(typing);
    typing = setTimeout(predict, PAUSE);
  };
  for (const id of ["text", "pair"]) {
    byId(id).addEventListener("input", typed);
    byId(id).addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && predict());
  }
  byId("clear").addEventListener("click", () => {
    byId("text").value = byId("pair").value = "";
    read();
    predict();
    byId("text").focus();
  });
  byId("pair-button").addEventListener("click", () => {
    showPair(byId("pair-field").hidden);
    if (!byId("pair-field").hidden) byId("pair").focus();
    read();
    predict();
  });
}

function connectChoices() {
  byId("threshold").addEventListener("input", (event) => {
    state.threshold = Number(event.target.value);
    fill(byId("threshold-value"), state.threshold.toFixed(2));
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(redraw); // once for several steps of the slider
  });
  byId("model").addEventListener("change", (event) => {
    Object.assign(state, { model: event.target.value, head: "" });
    drawModels();
    predict();
  });
  byId("share").addEventListener("click", (event) => share(event.target));
  byId("copy-code").addEventListener("click", (event) => copy(snippets(state, { key: Boolean(api.key.get()) })[language].code, event.target));
  addEventListener("keydown", (event) => event.key === "Escape" && tracer.pinned && tracer.pin(tracer.pinned));
  addEventListener("hashchange", () => {
    if (!openFragment()) return;
    restore();
    drawModels();
    predict();
  });
}

async function share(button) {
  const written = fragment(state);
  if (written === null) {
    button.textContent = "Too long for a link";
    setTimeout(() => (button.textContent = "Copy link"), 2000);
    return;
  }
  history.replaceState(null, "", written);
  await copy(location.href, button);
}

function openFragment() {
  const given = fromFragment(location.hash);
  if (!given) return false;
  Object.assign(state, given);
  if (info && !model()) state.model = info.default;
  return true;
}

function connectKey() {
  byId("key-button").addEventListener("click", () => showKeyForm(byId("key-form").hidden));
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key.set(byId("key").value.trim());
    byId("key").value = "";
    showKeyForm(false);
    byId("failure").hidden = true;
    byId("text").focus();
    connect();
  });
}

connectTheme(byId("theme"));
connectAbout(model);
connectWriting();
connectChoices();
connectKey();
connectStages(byId("stages"));
roving(byId("languages"), "[role=tab]");
if (openFragment()) restore();
connect();
