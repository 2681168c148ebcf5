// The answers to many texts: a table to look at, and files to take along.

import { written } from "./csv.js";
import { add, areShares, at, counted, figure, percent, plural, saveAs } from "./dom.js";
import { difference, isMulti } from "./labels.js";
import { factsOf } from "./model.js";

const SHOWN = 100;

// What was asked: { rows, versions, name, heading, pairs }; `heading` names the cells of each row, or is null.
let asked = null;
let shown = SHOWN;

export function showTable(newOne) {
  asked = newOne;
  shown = SHOWN;
  at("only-different").checked = false;
  refresh();
}

const isComparison = () => asked.versions.length > 1;
const isRegression = () => factsOf(asked.versions[0])?.problem_type === "regression";

function apart({ answers: [ours, theirs] }) {
  if (!ours || !theirs) return null;
  const facts = asked.versions.map(factsOf);
  // These are the chosen labels already, so that every one of them counts.
  if (facts[0]?.problem_type === "regression") return difference({ scores: ours }, { scores: theirs }, ...facts);
  const names = (answer) => JSON.stringify(answer.map(({ label }) => label).sort());
  return { differs: names(ours) !== names(theirs) };
}

export function refresh() {
  if (!asked) return;
  at("table-part").hidden = false;
  at("only-different-part").hidden = !isComparison() || isRegression();
  const wanted = at("only-different").checked ? asked.rows.filter((row) => apart(row)?.differs) : asked.rows;
  at("table-head").replaceChildren(headRow());
  at("table-rows").replaceChildren(...wanted.slice(0, shown).map(tableRow));
  at("more-rows").hidden = wanted.length <= shown;
  at("more-rows").textContent =
    `Show ${counted(Math.min(SHOWN, wanted.length - shown))} more of ${plural(wanted.length, "row")}`;
  at("summary").textContent = summary();
}

function headRow() {
  const row = document.createElement("tr");
  const versions = asked.versions.map((version) => (isComparison() ? `, version ${version}` : ""));
  const answers = versions.flatMap((which) => [`Label${which}`, `Score${which}`]);
  const names = [
    "Row",
    "Text",
    ...(asked.pairs ? ["Second text"] : []),
    ...answers,
    ...(isComparison() ? ["Compared"] : []),
  ];
  for (const name of names) add(row, "th", name.startsWith("Score") ? "score" : "", name).scope = "col";
  return row;
}

function tableRow(row) {
  const line = document.createElement("tr");
  add(line, "th", "", counted(row.number)).scope = "row";
  for (const text of row.texts.slice(0, asked.pairs ? 2 : 1)) add(line, "td", "text", text ?? "").dir = "auto";
  if (row.problem) {
    add(line, "td", "wrong", row.problem).colSpan = 2 * asked.versions.length + (isComparison() ? 1 : 0);
    return line;
  }
  asked.versions.forEach((version, place) => answerCells(line, row.answers[place], factsOf(version)));
  if (isComparison()) comparedCell(line, apart(row));
  return line;
}

function answerCells(line, answer, facts) {
  const labels = add(line, "td", "answer");
  const scores = add(line, "td", "score");
  if (!answer) labels.textContent = "…";
  else if (answer.length === 0) add(labels, "span", "quiet", "no label");
  const write = answer && areShares(answer, facts) ? percent : figure;
  for (const { label, score } of answer ?? []) {
    add(labels, "div", "", label).dir = "auto";
    add(scores, "div", "", write(score));
  }
}

function comparedCell(line, found) {
  const cell = add(line, "td");
  if (!found) return;
  line.classList.toggle("differs", found.differs);
  if (found.by !== undefined) cell.textContent = `± ${figure(found.by)}`;
  else add(cell, "span", found.differs ? "state differs" : "quiet", found.differs ? "≠ differs" : "= same");
}

// How many texts have which label, and on how many the versions differ.
function summary() {
  const answered = asked.rows.filter(({ answers, problem }) => answers[0] && !problem);
  const parts = [
    `${counted(answered.length)} of ${plural(asked.rows.length, "text")} answered by version ${asked.versions[0]}`,
  ];
  if (!isRegression()) {
    const counts = new Map();
    for (const {
      answers: [ours],
    } of answered)
      for (const { label } of ours) counts.set(label, (counts.get(label) ?? 0) + 1);
    const most = [...counts].sort((one, other) => other[1] - one[1]);
    const named = most.slice(0, 6).map(([label, count]) => `${label} ${counted(count)}`);
    if (most.length > 6) named.push(`${most.length - 6} more`);
    if (named.length) parts.push(named.join(", "));
  }
  if (isComparison() && !isRegression()) {
    parts.push(
      `${counted(asked.rows.filter((row) => apart(row)?.differs).length)} differ from version ${asked.versions[1]}`,
    );
  }
  return parts.join(" · ");
}

// --- Files

// Names of columns that come to those of the file, told from them where they are the same.
function added(names) {
  const taken = new Set(asked.heading ?? []);
  return names.map((name) => {
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}`;
    taken.add(free);
    return free;
  });
}

export function asCsv() {
  const heading = asked.heading ?? (asked.pairs ? ["text", "second_text"] : ["text"]);
  const answers = asked.versions.flatMap((_, place) =>
    place ? ["label_compared", "score_compared"] : ["label", "score"],
  );
  const versions = isComparison() ? ["version", "version_compared", "differs"] : ["version"];
  const records = asked.rows.map((row) => [
    ...(asked.heading ? row.cells : row.texts.slice(0, heading.length)),
    ...asked.versions.flatMap((version, place) => csvAnswer(row.answers[place], factsOf(version))),
    ...asked.versions,
    ...(isComparison() ? [apart(row)?.by ?? (apart(row) ? String(apart(row).differs) : "")] : []),
    row.problem ?? "",
  ]);
  return written([[...heading, ...added([...answers, ...versions, "problem"])], ...records]);
}

function csvAnswer(answer, facts) {
  if (!answer) return ["", ""];
  if (answer.length === 1) return [answer[0].label, answer[0].score];
  // Several labels of one text: as many scores, in their order.
  const many = isMulti(facts) || answer.length > 1;
  return many ? [answer.map(({ label }) => label).join("|"), answer.map(({ score }) => score).join("|")] : ["", ""];
}

export function asJsonLines() {
  const lines = asked.rows.map((row) => {
    const one = { sentence: row.texts[0], ...(asked.pairs ? { text_pair: row.texts[1] ?? "" } : {}) };
    asked.versions.forEach((version, place) => {
      const found = { version, labels: row.answers[place] ?? null };
      if (place) one.compared = found;
      else Object.assign(one, found);
    });
    return JSON.stringify(row.problem ? { ...one, problem: row.problem } : one);
  });
  return `${lines.join("\n")}\n`;
}

export function start() {
  const save = (ending, type, content) => saveAs(new Blob([content], { type }), `${asked.name}-labels.${ending}`);
  at("save-csv").addEventListener("click", () => save("csv", "text/csv;charset=utf-8", asCsv()));
  at("save-json").addEventListener("click", () => save("jsonl", "application/jsonl", asJsonLines()));
  at("only-different").addEventListener("change", refresh);
  at("more-rows").addEventListener("click", () => {
    shown += SHOWN;
    refresh();
  });
}
