// Several texts at once: lines that are pasted, or a file that is chosen or dropped. It is read in the browser.

import { modelAsked, requestForMany } from "./api.js";
import { scoresOf } from "./calibrated.js";
import { compared } from "./comparison.js";
import { decoded, hasHeading, linesOf, parsed, TableError, textColumn } from "./csv.js";
import { add, at, counted, plural, say } from "./dom.js";
import { current, factsOf, listVersions, takesPairs, whenListed } from "./model.js";
import { isBlank, run, RunError } from "./run.js";
import { Snippets } from "./snippets.js";
import * as table from "./table.js";

const MOST_ROWS = 5_000;
const MOST_BYTES = 10_000_000;
const SNIPPET_TEXTS = 20;
const LONGER = "Score a longer file at the command line: text-classifier score IN OUT.";

const snippets = new Snippets(at("snippets-many"));
let file = null; // { name, records }: what was chosen, as it was read
let running = null;

// --- The file

async function take(given) {
  if (running) return;
  say(at("several-problem"), "");
  file = null;
  try {
    if (given) file = { name: given.name, records: await recordsOf(given) };
  } catch (error) {
    say(at("several-problem"), error instanceof TableError ? error.message : "The file cannot be read.");
  }
  at("file").value = "";
  if (file) at("heading").checked = isTable(file.name) && hasHeading(file.records);
  showFile();
}

const isTable = (name) => /\.(csv|tsv)$/i.test(name);

async function recordsOf(given) {
  if (given.size > MOST_BYTES) throw new TableError(`The file has more than ${MOST_BYTES / 1e6} MB. ${LONGER}`);
  const text = decoded(new Uint8Array(await given.arrayBuffer()));
  let records;
  if (isTable(given.name)) {
    records = parsed(text, /\.tsv$/i.test(given.name) ? "\t" : undefined);
  } else {
    records = linesOf(text).map((line) => [line]);
  }
  if (records.length > MOST_ROWS + 1) throw new TableError(tooMany("file", records.length));
  if (records.length === 0) throw new TableError("The file has no text in it.");
  return records;
}

const tooMany = (what, count) =>
  `The ${what} has ${plural(count, "row")}; this page takes at most ${counted(MOST_ROWS)}. ${LONGER}`;

function showFile() {
  at("file-part").hidden = file === null;
  at("lines-part").hidden = file !== null;
  if (!file) return;
  at("file-name").textContent = file.name;
  at("heading-part").hidden = !isTable(file.name);
  showColumns();
}

function headingOf() {
  return at("heading").checked ? file.records[0] : null;
}

function showColumns() {
  const heading = headingOf();
  const rows = heading ? file.records.slice(1) : file.records;
  const names = file.records[0].map((_, column) => heading?.[column].trim() || `Column ${column + 1}`);
  fillColumns(at("column"), names, textColumn(heading, rows));
  fillColumns(at("second-column"), ["none", ...names], 0, -1);
  at("column-part").hidden = names.length === 1;
  at("second-column-part").hidden = names.length === 1 || !takesPairs();
  showPreview();
}

function fillColumns(choice, names, chosen, first = 0) {
  choice.replaceChildren();
  names.forEach((name, place) => (add(choice, "option", "", name).value = place + first));
  choice.selectedIndex = chosen;
}

function showPreview() {
  const { rows } = fileRows();
  const first = rows[0]?.texts.filter(Boolean).join(" | ") ?? "";
  const start = first.length > 120 ? `${first.slice(0, 120)}…` : first;
  at("preview").textContent = `${plural(rows.length, "row")}${start ? `, the first: ${start}` : ""}`;
}

// --- What is asked

function fileRows() {
  const heading = headingOf();
  const column = Number(at("column").value);
  const second = takesPairs() ? Number(at("second-column").value) : -1;
  const rows = (heading ? file.records.slice(1) : file.records).map((cells) => ({
    cells,
    texts: second >= 0 ? [cells[column], cells[second]] : [cells[column]],
  }));
  const names = isTable(file.name) ? file.records[0].map((name, at) => (heading ? name : `column_${at + 1}`)) : null;
  return { rows, heading: names, pairs: second >= 0, name: file.name.replace(/\.\w+$/, "") };
}

function toAsk() {
  if (file) return fileRows();
  const rows = linesOf(at("lines").value).map((line) => ({ cells: [line], texts: [line] }));
  return { rows, heading: null, pairs: false, name: "sentences" };
}

async function classifyAll() {
  if (running) return;
  const asked = toAsk();
  const { rows } = asked;
  const problem =
    rows.length === 0 ? "Give at least one sentence." : rows.length > MOST_ROWS ? tooMany("list", rows.length) : "";
  say(at("several-problem"), problem);
  if (problem) return;
  running = new AbortController();
  at("run").ariaDisabled = "true"; // not `disabled`, which would take the focus from who pressed it
  at("cancel").hidden = at("progress-part").hidden = false;
  try {
    at("several-status").textContent = await askAll(asked);
  } finally {
    running = null;
    at("run").ariaDisabled = "false";
    if (document.activeElement === at("cancel")) at("run").focus();
    at("cancel").hidden = true;
  }
}

// Asks, and says how it ended.
async function askAll(asked) {
  const { rows, pairs } = asked;
  await listVersions(); // every batch is asked of the same version, though another be published meanwhile
  const versions = [current(), compared()].filter((version, place, all) => version && all.indexOf(version) === place);
  if (versions.length === 0) {
    say(at("several-problem"), "The server has no version that answers; try again shortly.");
    return "Nothing was asked.";
  }
  rows.forEach((row, place) => Object.assign(row, { number: place + 1, answers: [], problem: null }));
  // Kept for the whole run, though another model be chosen meanwhile.
  const options = { ...modelAsked(), ...(factsOf(versions[0])?.problem_type === "regression" ? { top_k: "all" } : {}) };
  const first = rows
    .map(({ texts }) => texts)
    .filter((texts) => !isBlank(texts))
    .slice(0, SNIPPET_TEXTS);
  snippets.show(requestForMany(first, { ...options, ...scoresOf(versions[0]), version: versions[0] }));
  say(
    at("snippet-note"),
    rows.length > first.length ? `The first ${first.length} texts of ${counted(rows.length)}.` : "",
  );
  table.showTable({ ...asked, versions, pairs });
  try {
    await run(rows, versions, options, running.signal, (done) => told(done, rows.length));
  } catch (error) {
    if (running.signal.aborted) return `Cancelled: ${at("progress-text").textContent}.`;
    if (!(error instanceof RunError)) throw error;
    say(at("several-problem"), error.message);
    return "It ended early.";
  } finally {
    table.refresh();
  }
  return `Done. ${at("summary").textContent}`;
}

function told(done, all) {
  at("progress").max = all;
  at("progress").value = done;
  at("progress-text").textContent = `${counted(done)} of ${counted(all)}`;
  table.refresh();
}

// --- The reader

function takesDrops(card) {
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    card.classList.toggle("over", event.type === "dragover");
  };
  for (const kind of ["dragover", "dragleave"]) card.addEventListener(kind, over);
  card.addEventListener("drop", (event) => {
    over(event);
    card.open = true;
    const [given] = event.dataTransfer?.files ?? [];
    if (given) take(given);
  });
}

export function start() {
  at("several-form").addEventListener("submit", (event) => {
    event.preventDefault();
    classifyAll();
  });
  at("cancel").addEventListener("click", () => running?.abort());
  at("file").addEventListener("change", () => take(at("file").files[0]));
  at("no-file").addEventListener("click", () => {
    take(null);
    at("lines").focus();
  });
  at("heading").addEventListener("change", showColumns);
  for (const choice of [at("column"), at("second-column")]) choice.addEventListener("change", showPreview);
  takesDrops(at("several"));
  whenListed(() => {
    if (file) at("second-column-part").hidden = file.records[0].length === 1 || !takesPairs();
  });
  table.start();
}
