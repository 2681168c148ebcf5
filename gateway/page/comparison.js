// Which version is asked beside the current one: one choice, made where one sentence or where many are asked.

import { add, at } from "./dom.js";
import { factsOf, others, whenListed } from "./model.js";

const choices = [at("compare"), at("compare-many")];
let version = null;

export const compared = () => version;

export function compareWith(number) {
  version = number;
  offer();
}

function offer() {
  const ready = others().map((one) => one.version);
  // A link may name a version that is gone: the answer says so.
  const offered = version && !ready.includes(version) ? [version, ...ready] : ready;
  for (const choice of choices) {
    choice.closest(".compare").hidden = offered.length === 0;
    choice.replaceChildren();
    add(choice, "option", "", "no other version").value = "";
    for (const number of offered) {
      const precision = factsOf(number)?.precision;
      add(choice, "option", "", `version ${number}${precision ? ` (${precision})` : ""}`).value = number;
    }
    choice.value = version ?? "";
  }
}

export function start() {
  for (const choice of choices) {
    choice.addEventListener("change", () => {
      compareWith(Number(choice.value) || null);
      at("ask").dispatchEvent(new Event("compare"));
    });
  }
  whenListed(offer);
}
