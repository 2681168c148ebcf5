// Whether scores are asked for calibrated: one choice, made where one sentence or where many are asked.

import { at } from "./dom.js";
import { current, factsOf, isCalibrated, whenListed } from "./model.js";

const boxes = [at("calibrated"), at("calibrated-many")];
let wanted = null; // as the server has it, until the reader chooses

const isWanted = () => wanted ?? isCalibrated();

// What a request to a version says of it: nothing where the server does the same by itself, or the version cannot.
export function scoresOf(version) {
  const can = Boolean(factsOf(version ?? current())?.calibration);
  return can && isWanted() !== isCalibrated() ? { calibrated: isWanted() } : {};
}

function offer() {
  const can = Boolean(factsOf(current())?.calibration);
  for (const box of boxes) {
    box.closest(".check").hidden = !can;
    box.checked = isWanted();
  }
}

export function start() {
  for (const box of boxes) {
    box.addEventListener("change", () => {
      wanted = box.checked;
      offer();
      at("ask").dispatchEvent(new Event("scores"));
    });
  }
  whenListed(offer);
}
