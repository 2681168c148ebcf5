// Parts of the document, and how numbers are written.
//
// Whatever comes from a person or the server is shown by textContent alone: labels come from users' checkpoints.

export const at = (id) => document.getElementById(id);

export function add(parent, tag, className = "", text = "") {
  const child = document.createElement(tag);
  if (className) child.className = className;
  child.textContent = text;
  parent.append(child);
  return child;
}

export const counted = (count) => count.toLocaleString("en");

export const plural = (count, one, many = `${one}s`) => `${counted(count)} ${count === 1 ? one : many}`;

export function percent(score) {
  // Rounding must not make a certainty of what is none.
  if (score > 0 && score < 0.001) return "<0.1%";
  if (score < 1 && score > 0.999) return ">99.9%";
  return `${(100 * score).toFixed(1)}%`;
}

export const figure = (score) => String(Number(score.toPrecision(4)));

// Whether scores are shares of one, which a bar can show; a regression's are any numbers.
export function areShares(scores, facts) {
  return facts?.problem_type !== "regression" && scores.every(({ score }) => score >= 0 && score <= 1);
}

export function say(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

export function toggles(button, showAgain) {
  button.ariaExpanded = "false";
  button.addEventListener("click", () => {
    button.ariaExpanded = button.ariaExpanded === "true" ? "false" : "true";
    showAgain();
  });
}

export function offerAll(button, count, few, what) {
  button.hidden = count <= few;
  button.textContent =
    button.ariaExpanded === "true" ? `Show ${few} ${what} only` : `Show all ${counted(count)} ${what}`;
}

export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers keep the clipboard from a page that came over plain HTTP from another machine; this older way is open.
  }
  const focused = document.activeElement;
  const field = add(document.body, "textarea", "unseen");
  field.ariaLabel = "What is copied";
  field.value = text;
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
