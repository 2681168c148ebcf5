// One sentence, or pair: asked while it is typed, answered by the current version and by another one beside it.

import { inAddress, keepInAddress, whenAddressChanges } from "./address.js";
import { ask, askedModel, requestFor } from "./api.js";
import { scoresOf } from "./calibrated.js";
import { at, copy, figure, say } from "./dom.js";
import { askAbout } from "./feedback.js";
import { difference, inWords, isMulti, LabelList } from "./labels.js";
import { current, factsOf, leastInWords, listVersions, takesPairs, whenListed } from "./model.js";
import { compared, compareWith } from "./comparison.js";
import { chooseModel } from "./model_choice.js";
import { Snippets } from "./snippets.js";

const TYPING_PAUSE_MS = 250;
const TITLE = document.title;

const sentence = at("sentence");
const pair = at("text-pair");
const ours = new LabelList(at("labels"), at("all-labels"));
const theirs = new LabelList(at("other-labels"), at("all-other-labels"));
const snippets = new Snippets(at("snippets"));

let answer = null; // { scores, version, cut, calibrated, windows, id, ms, other }
let typing = 0;
let newest = 0; // number of the newest question; the answer to any other is outdated
let underWay = new AbortController();
let fits = true;

// --- Asking

export async function classify({ settled = false, keep = true } = {}) {
  clearTimeout(typing);
  underWay.abort();
  underWay = new AbortController();
  const { signal } = underWay;
  const number = ++newest;
  const asked = { model: askedModel(), sentence: sentence.value, pair: pair.value, compare: compared() };
  fits = keep ? keepInAddress(asked, settled) : true;
  document.title = asked.sentence.trim() ? `${asked.sentence.trim().slice(0, 60)} · ${TITLE}` : TITLE;
  if (asked.sentence.trim() === "") {
    show(null);
    return;
  }
  at("empty").hidden = true;
  at("answer").setAttribute("aria-busy", "true");
  const request = requestFor({ ...asked, scores: scoresOf() });
  const [first, second] = [
    timed(request, signal),
    asked.compare && timed(requestFor({ ...asked, version: asked.compare, scores: scoresOf(asked.compare) }), signal),
  ];
  const main = await first;
  if (number !== newest) return; // an abort may come too late to stop an answer
  if (main.problem) {
    show(null, main.problem);
    return;
  }
  show({ ...main, other: asked.compare ? { version: asked.compare, waits: true } : null }, "", request);
  if (main.version !== current()) listVersions();
  if (!second) return;
  const other = await second;
  if (number !== newest) return;
  answer.other = { version: asked.compare, ...other };
  showAnswer();
}

async function timed(request, signal) {
  const start = performance.now();
  const { body, headers, problem } = await ask(request, signal);
  if (problem) return { problem };
  return {
    scores: request.method === "GET" ? body : body[0],
    version: Number(headers.get("X-Model-Version")),
    cut: headers.get("X-Truncated") !== null,
    calibrated: headers.get("X-Calibrated") === "true",
    windows: Number(headers.get("X-Windows")),
    id: headers.get("X-Request-ID"),
    ms: performance.now() - start,
  };
}

// --- Showing

export function show(newAnswer, problem = "", request = null) {
  answer = newAnswer;
  at("answer").setAttribute("aria-busy", "false");
  say(at("problem"), problem);
  at("empty").hidden = answer !== null || problem !== "";
  at("result").hidden = answer === null;
  at("request").hidden = answer === null;
  if (request) snippets.show(request);
  if (answer) showAnswer();
  else at("announcement").textContent = "";
}

function showAnswer() {
  const { scores, version, calibrated, windows, ms, other } = answer;
  const facts = factsOf(version);
  ours.show(scores, version, calibrated);
  at("answers").classList.toggle("two", Boolean(other));
  at("our-title").hidden = at("their-answer").hidden = !other;
  at("our-title").textContent = `Version ${version}`;
  at("their-title").textContent = `Version ${other?.version}`;
  const time = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)}\u00a0ms`;
  const how = [calibrated && "calibrated", `answered in ${time}`, windows && `read in ${windows} windows`];
  at("facts").textContent = [`Version ${version}`, ...how.filter(Boolean)].join(" · ");
  const said = inWords(scores, facts, calibrated);
  at("announcement").textContent = other ? `Version ${version}: ${said}.` : said;
  say(at("note"), notes(facts).join(" "));
  say(at("difference"), "");
  askAbout(answer);
  if (other) showOther(other, said);
}

function showOther(other, said) {
  const waiting = other.waits ? "This version is loaded when it is first asked …" : "";
  say(at("their-problem"), other.problem ?? waiting);
  at("other-labels").hidden = !other.scores;
  at("all-other-labels").hidden = true;
  if (!other.scores) return;
  theirs.show(other.scores, other.version, other.calibrated);
  const facts = [factsOf(answer.version), factsOf(other.version)];
  const { differs, by } = difference(answer, other, ...facts);
  const words =
    by === undefined
      ? `The two versions name ${differs ? "other labels" : "the same label"}`
      : `They are ${figure(by)} apart`;
  const text = differs && !isMulti(facts[0]) ? "The two versions name different labels" : words;
  at("difference").classList.toggle("differs", differs);
  say(at("difference"), `${differs ? "≠" : by === undefined ? "=" : "±"} ${text}.`);
  const theirWords = inWords(other.scores, facts[1], other.calibrated);
  at("announcement").textContent =
    `Version ${answer.version}: ${said}. Version ${other.version}: ${theirWords}. ${text}.`;
}

function notes(facts) {
  const found = [];
  if (answer.cut) {
    const limit = facts?.max_length ? ` of ${facts.max_length} tokens` : "";
    found.push(`The sentence is longer than the model's limit${limit}: only its beginning was read.`);
  }
  if (isMulti(facts)) {
    found.push(`Several labels can be true at once, or none: ✓ marks those that reach ${leastInWords(facts)}.`);
  }
  if (!fits) found.push("The sentence is too long for the page's address: a link to this page leaves it out.");
  return found;
}

// --- The reader

function take(question) {
  chooseModel(question.model);
  sentence.value = question.sentence;
  pair.value = question.pair;
  compareWith(question.compare);
  showPair();
}

function showPair() {
  at("pair-part").hidden = !takesPairs() && pair.value === "";
}

function typed() {
  clearTimeout(typing);
  typing = setTimeout(classify, TYPING_PAUSE_MS);
}

function asksAtOnce(event) {
  // Enter that ends the input of a Chinese or Japanese character is no wish to send.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  classify({ settled: true });
}

async function copyLink() {
  const done = await copy(location.href);
  at("announcement").textContent = done ? "The link is copied." : "";
  at("copy-link").textContent = done ? "Link copied" : "Copy the address bar's text";
  setTimeout(() => (at("copy-link").textContent = "Copy link"), 3_000);
}

export function start() {
  for (const field of [sentence, pair]) {
    field.addEventListener("input", typed);
    field.addEventListener("keydown", asksAtOnce);
  }
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    classify({ settled: true });
  });
  at("example").addEventListener("click", () => {
    sentence.value = sentence.placeholder;
    sentence.focus();
    classify({ settled: true });
  });
  at("copy-link").addEventListener("click", copyLink);
  for (const event of ["compare", "scores"]) {
    at("ask").addEventListener(event, () => classify({ settled: true }));
  }
  at("ask").addEventListener("model", () => {
    compareWith(null); // the numbers of another model's versions mean nothing here
    show(null);
    classify({ settled: true });
  });
  whenAddressChanges((question) => {
    take(question);
    classify({ keep: false });
  });
  whenListed(() => {
    showPair();
    if (answer) showAnswer(); // how it is shown depends on the version's kind
  });
  const question = inAddress();
  // Browsers keep what was typed when a page is loaded again; the address comes before that.
  take(question.sentence ? question : { ...question, sentence: sentence.value, pair: pair.value });
  if (sentence.value) classify({ settled: true });
}
