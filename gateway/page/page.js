// Behaviour of the page at `/`: asks /classify while a sentence is typed, and lists /models.
//
// Whatever comes from the server is shown by textContent alone: labels and reasons come from users' checkpoints.
"use strict";

const TYPING_PAUSE_MS = 250;
const LABELS_SHOWN = 10;
const VERSIONS_SHOWN = 5;
const KEY_STORE = "api-key";

const at = (id) => document.getElementById(id);
const sentence = at("sentence");

let key = stored();
let models = { model: "", current: null, versions: [] };
let answer = null;
let typing = 0;
let question = 0; // number of the newest question; the answer to any other is outdated
let listing = 0; // the same for the list of versions
let underWay = new AbortController();
const rows = new Map(); // label to the parts of its row: kept, so that bars move and do not jump

// --- Asking

async function ask(path, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(path, { headers, signal, cache: "no-store" });
  } catch {
    return { problem: "The server does not answer; try again shortly.", status: 0 };
  }
  const body = await response.json().catch(() => null);
  if (response.status === 401) askForKey();
  if (response.ok && body !== null) return { body, headers: response.headers };
  const said = typeof body?.error === "string" ? body.error : "The server does not say why.";
  return { problem: `${said} (${response.status})`, status: response.status };
}

async function classify() {
  clearTimeout(typing);
  underWay.abort();
  underWay = new AbortController();
  const number = ++question;
  if (sentence.value.trim() === "") {
    show(null, "");
    return;
  }
  at("empty").hidden = true;
  at("answer").setAttribute("aria-busy", "true");
  const start = performance.now();
  const query = new URLSearchParams({ sentence: sentence.value, top_k: "all" });
  const reply = await ask(`classify?${query}`, underWay.signal);
  if (number !== question) return; // an abort may come too late to stop an answer
  if (reply.problem) {
    show(null, reply.problem);
    return;
  }
  const version = Number(reply.headers.get("X-Model-Version"));
  const cut = reply.headers.get("X-Truncated") !== null;
  show({ scores: reply.body, version, cut, ms: performance.now() - start }, "");
  if (version !== models.current) listVersions();
}

async function listVersions() {
  const number = ++listing;
  const reply = await ask("models");
  if (number !== listing) return;
  const problem = reply.status === 401 ? "They are listed once the API key is given." : reply.problem;
  at("versions-problem").textContent = problem ?? "";
  if (problem) return;
  models = reply.body;
  showVersions();
  if (answer) showAnswer(); // how it is shown depends on the version's kind
}

// --- API key

function stored() {
  try {
    return sessionStorage.getItem(KEY_STORE) ?? "";
  } catch {
    return ""; // storage is switched off: the key lives as long as the page
  }
}

function askForKey() {
  at("key-form").hidden = false;
}

function useKey(event) {
  event.preventDefault();
  const given = at("key").value.trim();
  // A header can hold no other characters; fetch would fail with an error that names no cause.
  if (!/^[\x21-\x7e]*$/.test(given)) {
    show(null, "An API key has only letters, digits and signs without accents or spaces.");
    return;
  }
  key = given;
  try {
    sessionStorage.setItem(KEY_STORE, key);
  } catch {
    // See `stored`.
  }
  at("key-form").hidden = true; // comes back with the next 401
  listVersions();
  classify();
  sentence.focus();
}

// --- Answer

function show(newAnswer, problem) {
  answer = newAnswer;
  at("answer").setAttribute("aria-busy", "false");
  at("problem").textContent = problem;
  at("problem").hidden = problem === "";
  at("empty").hidden = answer !== null || problem !== "";
  at("result").hidden = answer === null;
  if (answer) showAnswer();
  else at("announcement").textContent = "";
}

function showAnswer() {
  const { scores, version, cut, ms } = answer;
  const facts = models.versions.find((one) => one.version === version);
  const asShares = facts?.problem_type !== "regression" && scores.every(({ score }) => score >= 0 && score <= 1);
  const written = asShares ? percent : (score) => String(Number(score.toPrecision(4)));
  showLabels(scores, written, asShares);
  const notes = [];
  if (cut) {
    const limit = facts?.max_length ? ` of ${facts.max_length} tokens` : "";
    notes.push(`The sentence is longer than the model's limit${limit}: only its beginning was read.`);
  }
  if (facts?.problem_type === "multi_label_classification") notes.push("Several labels can be true at once.");
  at("note").textContent = notes.join(" ");
  at("note").hidden = notes.length === 0;
  at("facts").textContent = `Version ${version} · answered in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const best = scores[0];
  at("announcement").textContent = best ? `${best.label}, ${written(best.score)}` : "";
}

function showLabels(scores, written, asShares) {
  const button = at("all-labels");
  const shown = button.ariaExpanded === "true" ? scores : scores.slice(0, LABELS_SHOWN);
  offerAll(button, scores.length, LABELS_SHOWN, "labels");
  for (const label of rows.keys()) if (!shown.some((one) => one.label === label)) rows.delete(label);
  at("labels").classList.toggle("numbers", !asShares);
  at("labels").replaceChildren(...shown.map(({ label }) => rowOf(label).item));
  at("labels").getBoundingClientRect(); // bars start from where they were: else they would not move, but jump
  for (const { label, score } of shown) {
    const row = rowOf(label);
    row.percent.textContent = written(score);
    row.bar.style.width = asShares ? `${100 * score}%` : "0";
  }
}

function rowOf(label) {
  if (!rows.has(label)) {
    const item = document.createElement("li");
    const name = add(item, "span", "label", label);
    name.dir = "auto";
    const percent = add(item, "span", "percent");
    const track = add(item, "span", "track");
    track.ariaHidden = "true"; // the percentage says it
    rows.set(label, { item, percent, bar: add(track, "span", "bar") });
  }
  return rows.get(label);
}

function percent(score) {
  // Rounding must not make a certainty of what is none.
  if (score > 0 && score < 0.001) return "<0.1%";
  if (score < 1 && score > 0.999) return ">99.9%";
  return `${(100 * score).toFixed(1)}%`;
}

// --- Versions

function showVersions() {
  at("model").textContent = `Model ${models.model}`;
  at("versions").hidden = models.versions.length === 0;
  if (models.versions.length === 0) at("versions-problem").textContent = "Triton has no version yet.";
  const button = at("all-versions");
  const shown = button.ariaExpanded === "true" ? models.versions : models.versions.slice(0, VERSIONS_SHOWN);
  offerAll(button, models.versions.length, VERSIONS_SHOWN, "versions");
  at("version-rows").replaceChildren(...shown.flatMap(versionRows));
}

function versionRows({ version, state, precision, evaluation, report, reason }) {
  const row = document.createElement("tr");
  add(row, "th", "", version).scope = "row";
  add(add(row, "td"), "span", `state ${state}`, state);
  add(row, "td", "", precision ?? "–");
  const figure = add(row, "td", "", figureOf(evaluation));
  if (report) figure.append(" · ", reportLink(version, report));
  if (!reason) return [row];
  const why = document.createElement("tr");
  why.className = "reason";
  add(why, "td", "", reason).colSpan = 4;
  return [row, why];
}

function reportLink(version, report) {
  const link = document.createElement("a");
  link.textContent = "report";
  link.ariaLabel = `Report of version ${version}`;
  link.href = report.replace(/^\//, ""); // a gateway may be behind a path of another host
  link.target = "_blank";
  link.rel = "noopener";
  // A link sends no key: with one, the report is fetched and kept as a file.
  link.addEventListener("click", async (event) => {
    if (!key) return;
    event.preventDefault();
    const problem = await save(link.href, `report-${version}.html`);
    at("versions-problem").textContent = problem;
  });
  return link;
}

async function save(path, name) {
  let response;
  try {
    response = await fetch(path, { headers: { Authorization: `Bearer ${key}` } });
  } catch {
    return "The server does not answer; try again shortly.";
  }
  if (!response.ok) return `The report cannot be had (${response.status}).`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return "";
}

function figureOf(evaluation) {
  // What stands for a version: macro-F1; of a regression, by how much it is off.
  if (evaluation?.macro_f1 != null) return evaluation.macro_f1.toFixed(3);
  const error = evaluation?.figures.mean_absolute_error;
  return error == null ? "–" : `± ${error.toPrecision(3)}`;
}

// --- Parts

function add(parent, tag, className = "", text = "") {
  const child = document.createElement(tag);
  child.className = className;
  child.textContent = text;
  parent.append(child);
  return child;
}

function offerAll(button, count, few, what) {
  button.hidden = count <= few;
  button.textContent = button.ariaExpanded === "true" ? `Show ${few} ${what} only` : `Show all ${count} ${what}`;
}

function toggles(button, showAgain) {
  button.ariaExpanded = "false";
  button.addEventListener("click", () => {
    button.ariaExpanded = button.ariaExpanded === "true" ? "false" : "true";
    showAgain();
  });
}

sentence.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(classify, TYPING_PAUSE_MS);
});
sentence.addEventListener("keydown", (event) => {
  // Enter that ends the input of a Chinese or Japanese character is no wish to send.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  classify();
});
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});
at("example").addEventListener("click", () => {
  sentence.value = sentence.placeholder;
  sentence.focus();
  classify();
});
at("key-form").addEventListener("submit", useKey);
at("refresh").addEventListener("click", listVersions);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) listVersions();
});
toggles(at("all-labels"), showAnswer);
toggles(at("all-versions"), showVersions);
listVersions();
if (sentence.value) classify(); // browsers keep what was typed when a page is loaded again
