// What the model is and which versions there are, from GET /models.

import { fetchFile, getModels, hasKey } from "./api.js";
import { add, at, counted, offerAll, plural, saveAs, say, toggles } from "./dom.js";

const VERSIONS_SHOWN = 5;
const LABELS_NAMED = 30;

let models = {
  model: "",
  current: null,
  threshold: 0.5,
  own_thresholds: true,
  calibrated: false,
  versions: [],
  models: [],
  candidate: null,
  ended_trials: [],
};
let listing = 0; // number of the newest look; what an older one finds is outdated
const listeners = [];

export const current = () => models.current;
export const takesFeedback = () => models.feedback === true;
export const isCalibrated = () => models.calibrated;
export const factsOf = (version) => models.versions.find((one) => one.version === version);

// The models that this server answers for, its first one in front.
export const modelNames = () => models.models.map(({ name }) => name);

// The versions that answer beside the current one, if they are asked by number.
export const others = () => models.versions.filter(({ state }) => state === "ready" || state === "candidate");

// The version that is on trial beside the current one, and trials that are over.
export const candidate = () => models.candidate;
export const endedTrials = () => models.ended_trials;

// Only a model that was proved on pairs at export tells two texts apart.
export const takesPairs = () => (factsOf(models.current)?.parity?.pairs ?? 0) > 0;

export function whenListed(action) {
  listeners.push(action);
}

export async function listVersions() {
  const number = ++listing;
  const reply = await getModels();
  if (number !== listing) return;
  say(
    at("versions-problem"),
    reply.status === 401 ? "They are listed once the API key is given." : (reply.problem ?? ""),
  );
  if (reply.problem) return;
  models = reply.body;
  showVersions();
  showFacts();
  for (const listener of listeners) listener();
}

// --- Which labels a multi-label model answers

const hasOwn = (facts) => Boolean(models.own_thresholds && facts?.thresholds);

export const leastInWords = (facts) => (hasOwn(facts) ? "their own threshold" : percentOf(models.threshold));

// The least score of each label, of scores as they are or calibrated: a version's own thresholds move with them.
export function leastScores(facts, calibrated) {
  if (!hasOwn(facts)) return () => models.threshold;
  const { slopes, offsets } = facts.calibration ?? {};
  const least = new Map(
    facts.labels.map((label, at) => {
      const { threshold } = facts.thresholds.labels[at];
      if (!calibrated || !slopes || threshold <= 0 || threshold >= 1) return [label, threshold];
      const logit = Math.log(threshold / (1 - threshold));
      return [label, 1 / (1 + Math.exp(-(slopes[at] * logit + offsets[at])))];
    }),
  );
  return (label) => least.get(label) ?? models.threshold;
}

// --- The current version

function showFacts() {
  const facts = factsOf(models.current);
  at("model").textContent = [`Model ${models.model}`, ...(facts ? [`version ${facts.version}`] : [])].join(" · ");
  const failed = models.versions.filter(({ state }) => state === "failed").length;
  const parts = facts?.labels
    ? [facts.precision, labelCount(facts), briefFigure(facts.evaluation), `exported ${day(facts.created_at)}`]
    : ["no version answers yet"];
  if (failed) parts.push(`${plural(failed, "version")} failed`);
  at("about-brief").textContent = parts.filter(Boolean).join(" · ");
  at("facts-of-model").hidden = !facts?.labels;
  at("facts-of-model").replaceChildren();
  if (facts?.labels) for (const [name, value] of rowsOf(facts)) factRow(name, value);
}

function factRow(name, value) {
  add(at("facts-of-model"), "dt", "", name);
  const place = add(at("facts-of-model"), "dd");
  if (value instanceof Node) place.append(value);
  else place.textContent = value;
}

function rowsOf(facts) {
  const from = facts.republished_from ? `, the content of version ${facts.republished_from} put back` : "";
  const rows = [
    ["Version", `${facts.version}${from}`],
    ["Checkpoint", facts.source],
    ["Exported", day(facts.created_at)],
    ["Answers", kind(facts)],
    ["Labels", labelNames(facts.labels)],
    ["Precision", [facts.precision, facts.precision_reason].filter(Boolean).join(": ")],
    ["Reads", `at most ${plural(facts.max_length, "token")} of a text`],
    ["Quality", quality(facts.evaluation)],
    ["Against PyTorch", parity(facts)],
  ];
  if (facts.calibration) rows.push(["Calibration", calibration(facts.calibration)]);
  if (facts.coverage) rows.push(["Label sets", `coverage up to ${percentOf(facts.coverage.most)}`]);
  if (facts.forced?.length)
    rows.push(["Forced", `exported although outside its tolerance: ${facts.forced.join("; ")}`]);
  if (facts.drift) rows.push(["Drift", drift(facts.drift)]);
  if (facts.feedback?.given) rows.push(["Feedback", feedback(facts.feedback)]);
  if (facts.report) rows.push(["Report", reportLink(facts, `how good version ${facts.version} is`)]);
  return rows;
}

function kind({ problem_type, labels, thresholds }) {
  if (problem_type === "regression") return labels.length === 1 ? "a number" : plural(labels.length, "number");
  if (problem_type === "single_label_classification") return `one label of ${counted(labels.length)}`;
  return `every label that reaches ${leastInWords({ thresholds })}, which may be none or several`;
}

function labelCount({ problem_type, labels }) {
  return problem_type === "regression" ? "regression" : plural(labels.length, "label");
}

function labelNames(labels) {
  const list = document.createElement("ul");
  list.className = "names";
  list.setAttribute("role", "list"); // a list without bullets is none to VoiceOver
  for (const label of labels.slice(0, LABELS_NAMED)) add(list, "li", "", label).dir = "auto";
  if (labels.length > LABELS_NAMED) add(list, "li", "quiet", `and ${counted(labels.length - LABELS_NAMED)} more`);
  return list;
}

const percentOf = (share) => `${Number((100 * share).toFixed(1))}%`;
const day = (time) => new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });

const HELD_OUT = {
  groups: "of groups it was not trained on",
  files: "of its test file",
  rows: "of groups it was trained on, which reads too well",
};

function quality(evaluation) {
  if (!evaluation) return "not measured";
  const { macro_f1, accuracy, sentences, origin, held_out, figures } = evaluation;
  const measured = [
    ...(macro_f1 == null ? [] : [`macro-F1 ${macro_f1.toFixed(3)}`]),
    ...(accuracy == null ? [] : [`accuracy ${accuracy.toFixed(3)}`]),
    ...Object.entries(figures).map(([name, value]) => `${name.replaceAll("_", " ")} ${Number(value.toPrecision(3))}`),
  ];
  const which = [origin, HELD_OUT[held_out]].filter(Boolean).join(", ");
  return `${measured.join(", ")} on ${plural(sentences, "sentence")}${which ? ` (${which})` : ""}`;
}

function calibration({ temperature, test }) {
  const how = temperature ? `temperature ${Number(temperature.toPrecision(3))}` : "a sigmoid for each label";
  if (!test) return `${how}, not measured on other texts`;
  const [before, after] = [test.error, test.calibrated_error].map(({ value }) => value.toFixed(3));
  return `${how}: expected calibration error ${before} before, ${after} after (${plural(test.sentences, "text")})`;
}

function parity({ parity: found, problem_type }) {
  const on = plural(found.sentences, "sentence");
  if (problem_type === "regression")
    return `off by at most ${Number(found.max_logit_difference.toPrecision(2))} on ${on}`;
  const share = percentOf(found.label_agreement);
  const drift = Number(found.max_probability_difference.toPrecision(2));
  return `the same label on ${share} of ${on}; scores differ by at most ${drift}`;
}

const MOVED = {
  label: "labels answered",
  score: "scores",
  length: "length of texts",
  script: "scripts",
  unknown: "unknown tokens",
};

// How far the last texts are from those it was trained on.
function drift({ sentences, minutes, profile, shifts }) {
  const since = `the last ${plural(sentences, "text")} (${plural(Math.max(1, Math.round(minutes)), "minute")})`;
  if (!profile) return `not told: this version was exported without a profile of what it was trained on`;
  if (shifts.length === 0) return `not told yet: too few of ${since}`;
  const told = ({ of, index }) => `${MOVED[of]} ${index.toFixed(2)}`;
  const moved = shifts.filter(({ large }) => large);
  if (moved.length) return `${since} are unlike what it was trained on: ${moved.map(told).join(", ")}`;
  return `none in ${since}: ${shifts.map(told).join(", ")}`;
}

function feedback({ given, answers, accuracy, at_least, at_most, error }) {
  const on = `${plural(given, "answer")} of the last ${counted(answers)}`;
  if (accuracy == null) return error == null ? on : `off by ${Number(error.toPrecision(3))} on average, on ${on}`;
  return `${percentOf(accuracy)} right (${percentOf(at_least)} to ${percentOf(at_most)}) on ${on}`;
}

// --- All versions

function showVersions() {
  const { versions } = models;
  at("versions").hidden = versions.length === 0;
  if (versions.length === 0) say(at("versions-problem"), "Triton has no version yet.");
  const button = at("all-versions");
  const shown = button.ariaExpanded === "true" ? versions : versions.slice(0, VERSIONS_SHOWN);
  offerAll(button, versions.length, VERSIONS_SHOWN, "versions");
  at("version-rows").replaceChildren(...shown.flatMap(versionRows));
}

function versionRows(facts) {
  const row = document.createElement("tr");
  const { version, state, precision, evaluation, report, reason, created_at } = facts;
  const name = add(row, "th", "", version);
  name.scope = "row";
  if (created_at) name.title = `exported ${day(created_at)}`;
  add(add(row, "td"), "span", `state ${state}`, state);
  add(row, "td", "", precision ?? "–");
  const figure = add(row, "td", "", shortFigure(evaluation));
  if (report) figure.append(" · ", reportLink(facts, "report"));
  if (!reason) return [row];
  const why = document.createElement("tr");
  why.className = "reason";
  add(why, "td", "", reason).colSpan = 4;
  return [row, why];
}

function reportLink({ version, report }, text) {
  const link = document.createElement("a");
  link.textContent = text;
  if (text === "report") link.ariaLabel = `Report of version ${version}`; // there is one in each row
  link.href = report.replace(/^\//, ""); // a gateway may be behind a path of another host
  link.target = "_blank";
  link.rel = "noopener";
  // A link sends no key: with one, the report is fetched and kept as a file.
  link.addEventListener("click", async (event) => {
    if (!hasKey()) return;
    event.preventDefault();
    const { blob, problem } = await fetchFile(link.href);
    if (blob) saveAs(blob, `report-${version}.html`);
    say(at("versions-problem"), problem ?? "");
  });
  return link;
}

// What stands for a version: macro-F1; of a regression, by how much it is off.
function shortFigure(evaluation) {
  if (evaluation?.macro_f1 != null) return evaluation.macro_f1.toFixed(3);
  const error = evaluation?.figures.mean_absolute_error;
  return error == null ? "–" : `± ${error.toPrecision(3)}`;
}

function briefFigure(evaluation) {
  if (evaluation?.macro_f1 != null) return `macro-F1 ${evaluation.macro_f1.toFixed(3)}`;
  const brief = shortFigure(evaluation);
  return brief === "–" ? "" : brief;
}

toggles(at("all-versions"), showVersions);
at("refresh").addEventListener("click", listVersions);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) listVersions();
});
