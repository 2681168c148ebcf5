// Was that right? Asked where the gateway keeps what its readers say, and sent with the id of the answer.

import { sayWhatIsRight } from "./api.js";
import { add, at, say } from "./dom.js";
import { chosen, isMulti } from "./labels.js";
import { factsOf, takesFeedback } from "./model.js";

let about = null; // { id, scores, version } of the answer that is asked about

// Of the answer that is shown; what the reader has begun to say of it stays.
export function askAbout(answer) {
  const facts = factsOf(answer.version);
  at("feedback").hidden = !takesFeedback() || !answer.id || !facts?.labels;
  if (at("feedback").hidden || about?.id === answer.id) return;
  about = answer;
  at("feedback-form").hidden = true;
  at("feedback-no").ariaExpanded = "false";
  at("feedback-choice").hidden = false;
  say(at("feedback-said"), "");
  offer(facts);
}

function offer(facts) {
  const [isNumber, several] = [facts.problem_type === "regression", isMulti(facts)];
  at("right-label-part").hidden = isNumber || several;
  at("right-labels").hidden = !several;
  at("right-value-part").hidden = !isNumber;
  at("right-value").required = isNumber;
  at("right-value").value = "";
  const answered = new Set(chosen(about.scores, facts).map(({ label }) => label));
  // The likeliest first: the right one is seldom far from the top.
  const labels = about.scores.map(({ label }) => label);
  at("right-label").replaceChildren(
    ...labels.filter((label) => several || !answered.has(label)).map((label) => new Option(label, label)),
  );
  at("feedback-no").hidden = !isNumber && !several && labels.length < 2;
  at("right-labels-list").replaceChildren();
  for (const label of several ? labels : []) {
    const line = add(at("right-labels-list"), "label", "check");
    const box = add(line, "input");
    box.type = "checkbox";
    box.value = label;
    box.checked = answered.has(label);
    add(line, "span", "", label).dir = "auto";
  }
}

function whatIsRight(facts) {
  if (facts.problem_type === "regression") return { value: at("right-value").valueAsNumber };
  if (!isMulti(facts)) return { label: at("right-label").value };
  return { labels: [...at("right-labels-list").querySelectorAll("input:checked")].map(({ value }) => value) };
}

function whatWasAnswered(facts) {
  if (facts.problem_type === "regression") return { value: about.scores[0].score };
  const labels = chosen(about.scores, facts).map(({ label }) => label);
  return isMulti(facts) ? { labels } : { label: labels[0] };
}

async function send(right) {
  const asked = about;
  const { problem } = await sayWhatIsRight(asked.id, right);
  if (asked !== about) return; // another answer is shown
  at("feedback-choice").hidden = !problem;
  at("feedback-form").hidden = true;
  at("feedback-no").ariaExpanded = "false";
  say(at("feedback-said"), problem ?? "Thank you, that is kept.");
}

export function start() {
  at("feedback-yes").addEventListener("click", () => send(whatWasAnswered(factsOf(about.version))));
  at("feedback-no").addEventListener("click", () => {
    const opens = at("feedback-form").hidden;
    at("feedback-form").hidden = !opens;
    at("feedback-no").ariaExpanded = String(opens);
    if (opens) at("feedback-form").querySelector(":is(select, input):not([hidden] *)")?.focus();
  });
  at("feedback-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(whatIsRight(factsOf(about.version)));
  });
}
