// The version that is on trial beside the one that answers, from GET /models: what was counted of both, side by side.

import { add, at, counted, figure, percent, plural } from "./dom.js";
import { candidate, current, endedTrials, factsOf, listVersions, whenListed } from "./model.js";

const LOOK_AGAIN_MS = 5_000;
const GROUPS_SHOWN = 20;

function show() {
  const now = candidate();
  const ended = endedTrials();
  at("candidate").hidden = !now && ended.length === 0;
  at("candidate-now").hidden = !now;
  at("candidate-brief").textContent = now ? brief(now) : `the last one, version ${ended[0]?.version}, was ${ended[0]?.outcome}`;
  if (now) showTrial(now);
  showEnded(ended);
}

function brief({ version, state, agreement, canary }) {
  const parts = [`version ${version}`, canary ? `answers ${percent(canary)} of the requests` : "answers nobody"];
  if (state === "waits") parts.push("is not asked yet");
  if (state === "failed") parts.push("failed");
  if (agreement?.compared) parts.push(`agrees on ${percent(agreement.share)} of ${plural(agreement.compared, "sentence")}`);
  return parts.join(" · ");
}

// --- Side by side

function showTrial(now) {
  at("candidate-reason").textContent = now.reason ?? "";
  at("candidate-reason").hidden = !now.reason;
  at("candidate-head").replaceChildren(headOf(now));
  at("candidate-rows").replaceChildren(...rowsOf(now).map(([name, ...cells]) => rowOf(name, cells)));
  at("candidate-facts").replaceChildren(...factsFor(now).flatMap(([name, value]) => [part("dt", name), part("dd", value)]));
  showGroups("candidate-labels", "Current version's label", now.by_label);
  showGroups("candidate-scripts", "Script", now.by_script);
  showChanges(now.changes);
}

function headOf(now) {
  const row = document.createElement("tr");
  for (const text of ["", `Version ${now.against ?? current() ?? "–"} answers`, `Version ${now.version} is tried`])
    add(row, "th", "", text).scope = "col";
  return row;
}

function rowsOf(now) {
  const [own, other] = [factsOf(now.against ?? current()), factsOf(now.version)];
  const f1 = (facts) => facts?.evaluation?.macro_f1?.toFixed(3) ?? "–";
  return [
    ["Checkpoint", own?.source ?? "–", other?.source ?? "–"],
    ["Precision", own?.precision ?? "–", other?.precision ?? "–"],
    ["Macro-F1", f1(own), f1(other)],
    ["A sentence takes", milliseconds(now.current_latency_ms), milliseconds(now.latency_ms)],
  ];
}

const milliseconds = (time) => (time == null ? "–" : `${figure(time)} ms`);

function factsFor(now) {
  const { agreement, latency_ratio, score_shift, rule } = now;
  const facts = [];
  if (agreement?.compared) {
    const bounds = `between ${percent(agreement.lower)} and ${percent(agreement.upper)} at 95% confidence each`;
    facts.push(["Same answer", `${percent(agreement.share)} of ${plural(agreement.compared, "sentence")}, ${bounds}`]);
    facts.push(["Confident changes", `${counted(agreement.confident_changes)}, where the current version was sure`]);
  }
  if (score_shift != null) facts.push(["Score", `${score_shift < 0 ? "−" : "+"}${figure(Math.abs(score_shift))} in the mean`]);
  if (latency_ratio != null) facts.push(["Time", `${figure(latency_ratio)} times that of the current version`]);
  facts.push(["Failed", `${plural(now.errors, "sentence")}; ${counted(now.dropped)} not asked, since the service was busy`]);
  facts.push(["Answered for real", `${plural(now.answered, "sentence")}`]);
  facts.push(["Decides", rule ? decides(rule) : "nobody by itself: promote or reject it"]);
  return facts;
}

function decides({ after, agreement, latency_ratio, errors }) {
  const asked = `the same answer on ${percent(agreement)} at least, ${latency_ratio} times the time at most`;
  return `its rule, after ${plural(after, "sentence")}: ${asked}, ${plural(errors, "error")} at most`;
}

function part(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function rowOf(name, cells) {
  const row = document.createElement("tr");
  const first = add(row, "th", "", name);
  first.scope = "row";
  first.dir = "auto";
  for (const cell of cells) add(row, "td", "", cell);
  return row;
}

function showGroups(table, what, groups) {
  const found = Object.entries(groups);
  at(table).hidden = found.length === 0;
  const head = document.createElement("tr");
  for (const text of [what, "Sentences", "Same answer", "At least"]) add(head, "th", "", text).scope = "col";
  const rows = found.slice(0, GROUPS_SHOWN).map(([name, counts]) =>
    rowOf(name, [counted(counts.compared), percent(counts.share), percent(counts.lower)]),
  );
  at(table).tHead.replaceChildren(head);
  at(table).tBodies[0].replaceChildren(...rows);
}

// The server keeps sentences only where it may log them.
function showChanges(changes) {
  at("candidate-changes").hidden = changes.length === 0;
  const answer = (label, score) => `${label} ${percent(score)}`;
  at("candidate-change-rows").replaceChildren(
    ...changes.map((one) =>
      rowOf(one.sentence, [answer(one.current_label, one.current_score), answer(one.label, one.score)]),
    ),
  );
}

function showEnded(ended) {
  at("candidate-ended").hidden = ended.length === 0;
  at("candidate-ended-rows").replaceChildren(
    ...ended.map(({ version, outcome, reason }) => rowOf(`Version ${version}`, [outcome, reason ?? ""])),
  );
}

export function start() {
  whenListed(show);
  setInterval(() => {
    if (candidate() && at("candidate").open && !document.hidden) listVersions();
  }, LOOK_AGAIN_MS);
}
