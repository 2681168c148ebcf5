// One answer as a list of labels with bars, and whether two answers differ.

import { add, areShares, figure, offerAll, percent, toggles } from "./dom.js";
import { factsOf, leastScores } from "./model.js";

const SHOWN = 10;

export const isMulti = (facts) => facts?.problem_type === "multi_label_classification" && facts.labels.length > 1;

// The labels that the API answers with unless it is asked for all.
export function chosen(scores, facts, calibrated = false) {
  if (facts?.problem_type === "regression") return [];
  if (!isMulti(facts)) return scores.slice(0, 1);
  const least = leastScores(facts, calibrated);
  return scores.filter(({ label, score }) => score >= least(label));
}

export function inWords(scores, facts, calibrated) {
  const written = areShares(scores, facts) ? percent : figure;
  const best = isMulti(facts) ? chosen(scores, facts, calibrated) : scores.slice(0, 1);
  return best.map(({ label, score }) => `${label}, ${written(score)}`).join("; ") || "no label";
}

// Whether two versions name other labels; of regressions, by how much the numbers differ.
export function difference(ours, theirs, ourFacts, theirFacts) {
  if (ourFacts?.problem_type === "regression") {
    const other = new Map(theirs.scores.map(({ label, score }) => [label, score]));
    const most = Math.max(...ours.scores.map(({ label, score }) => Math.abs(score - (other.get(label) ?? NaN))));
    return { differs: false, by: most };
  }
  const names = ({ scores, calibrated }, facts) =>
    JSON.stringify(
      chosen(scores, facts, calibrated)
        .map(({ label }) => label)
        .sort(),
    );
  return { differs: names(ours, ourFacts) !== names(theirs, theirFacts) };
}

export class LabelList {
  #list;
  #button;
  #rows = new Map(); // label to the parts of its row: kept, so that bars move and do not jump
  #last = null;

  constructor(list, button) {
    this.#list = list;
    this.#button = button;
    toggles(button, () => this.#last && this.show(...this.#last));
  }

  show(scores, version, calibrated) {
    this.#last = [scores, version, calibrated];
    const facts = factsOf(version);
    const shares = areShares(scores, facts);
    const written = shares ? percent : figure;
    const reached = new Set(isMulti(facts) ? chosen(scores, facts, calibrated) : []);
    const shown = this.#button.ariaExpanded === "true" ? scores : scores.slice(0, SHOWN);
    offerAll(this.#button, scores.length, SHOWN, "labels");
    const names = new Set(shown.map(({ label }) => label));
    for (const label of this.#rows.keys()) if (!names.has(label)) this.#rows.delete(label);
    this.#list.classList.toggle("numbers", !shares);
    this.#list.replaceChildren(...shown.map(({ label }) => this.#row(label).item));
    this.#list.getBoundingClientRect(); // bars start from where they were: else they would not move, but jump
    for (const one of shown) {
      const row = this.#row(one.label);
      row.item.classList.toggle("reached", reached.has(one));
      row.score.textContent = `${reached.has(one) ? "✓ " : ""}${written(one.score)}`;
      row.bar.style.width = shares ? `${100 * one.score}%` : "0";
    }
  }

  #row(label) {
    if (!this.#rows.has(label)) {
      const item = document.createElement("li");
      add(item, "span", "label", label).dir = "auto";
      const score = add(item, "span", "percent");
      const track = add(item, "span", "track");
      track.ariaHidden = "true"; // the percentage says it
      this.#rows.set(label, { item, score, bar: add(track, "span", "bar") });
    }
    return this.#rows.get(label);
  }
}
