// The page at `/`: one sentence in front; several, what the model is and its versions behind a click.

import { useKey, whenKeyIsMissing } from "./api.js";
import * as candidate from "./candidate.js";
import * as comparison from "./comparison.js";
import * as calibrated from "./calibrated.js";
import { at } from "./dom.js";
import * as feedback from "./feedback.js";
import { listVersions } from "./model.js";
import * as modelChoice from "./model_choice.js";
import * as several from "./several.js";
import * as single from "./single.js";

function giveKey(event) {
  event.preventDefault();
  const given = at("key").value.trim();
  // A header can hold no other characters; fetch would fail with an error that names no cause.
  if (!/^[\x21-\x7e]*$/.test(given)) {
    single.show(null, "An API key has only letters, digits and signs without accents or spaces.");
    return;
  }
  useKey(given);
  at("key-form").hidden = true; // comes back with the next 401
  listVersions();
  single.classify();
  at("sentence").focus();
}

whenKeyIsMissing(() => (at("key-form").hidden = false));
at("key-form").addEventListener("submit", giveKey);
comparison.start();
modelChoice.start();
calibrated.start();
feedback.start();
single.start();
several.start();
candidate.start();
listVersions();
