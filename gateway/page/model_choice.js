// Which of several models is asked; there is nothing to choose where the server has one.

import { askedModel, askModel } from "./api.js";
import { add, at } from "./dom.js";
import { listVersions, modelNames, whenListed } from "./model.js";

const choice = at("model-choice");

// Ask this one from now on; "" is the server's first. What was listed is another model's, if it changes.
export function chooseModel(name) {
  if (name === askedModel()) return;
  askModel(name);
  offer();
  listVersions();
}

function offer() {
  const names = modelNames();
  const chosen = askedModel() || names[0];
  // A link may name a model that is not there: the answer says so.
  const offered = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
  at("model-part").hidden = offered.length < 2;
  choice.replaceChildren();
  for (const name of offered) add(choice, "option", "", name).value = name;
  choice.value = chosen ?? "";
}

export function start() {
  choice.addEventListener("change", () => {
    chooseModel(choice.value === modelNames()[0] ? "" : choice.value);
    at("ask").dispatchEvent(new Event("model"));
  });
  whenListed(offer);
}
