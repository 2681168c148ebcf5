// The page's address: what it asks for, kept in step with what is asked, so that it is a link to send.
//
// Typing on a question that was settled (by Enter, or by opening a link) begins a new entry of the browser's history,
// and further typing changes that one: Back leads to the question before, not to the letter before.

const LONGEST = 4_000; // see api.js; a longer sentence is left out of the address

export function inAddress() {
  const query = new URLSearchParams(location.search);
  const compare = query.get("compare") ?? "";
  return {
    model: query.get("model") ?? "",
    sentence: query.get("sentence") ?? "",
    pair: query.get("text_pair") ?? "",
    compare: /^[1-9]\d{0,14}$/.test(compare) ? Number(compare) : null,
  };
}

function addressOf({ model, sentence, pair, compare }) {
  const asked = { ...(sentence ? { sentence } : {}), ...(pair ? { text_pair: pair } : {}) };
  const query = new URLSearchParams({ ...(model ? { model } : {}), ...asked });
  if (String(query).length > LONGEST) return null;
  if (compare) query.set("compare", compare);
  return String(query) ? `?${query}` : location.pathname;
}

// Whether the question fits into the address.
export function keepInAddress(question, settled) {
  const address = addressOf(question) ?? location.pathname;
  const isNew = new URL(address, location.href).href !== location.href;
  try {
    if (isNew && history.state?.settled) history.pushState({ settled }, "", address);
    else if (isNew || settled) history.replaceState({ settled }, "", address);
  } catch {
    // A browser that finds the address changed too often; the next change takes it along.
  }
  return addressOf(question) !== null;
}

export function whenAddressChanges(action) {
  addEventListener("popstate", () => action(inAddress()));
}
