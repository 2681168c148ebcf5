// Asks the gateway: one sentence, many, or which versions there are. With the API key, where there is one.

const KEY_STORE = "api-key";
const LONGEST_QUERY = 4_000; // many a proxy refuses a request line of more than 8 KB; a longer sentence goes by POST
const NO_ANSWER = "The server does not answer; try again shortly.";

let key = stored();
let model = ""; // of several models the one that is asked; empty: the server's first
let askForKey = () => {};

export const hasKey = () => key !== "";

export const askedModel = () => model;

export function askModel(name) {
  model = name;
}

// As a part of a request.
export const modelAsked = () => (model ? { model } : {});

export function whenKeyIsMissing(action) {
  askForKey = action;
}

function stored() {
  try {
    return sessionStorage.getItem(KEY_STORE) ?? "";
  } catch {
    return ""; // storage is switched off: the key lives as long as the page
  }
}

export function useKey(given) {
  key = given;
  try {
    sessionStorage.setItem(KEY_STORE, key);
  } catch {
    // See `stored`.
  }
}

// What is asked of GET or POST /classify, as `ask` sends it and as the snippets write it.
export function requestFor({ sentence, pair, version, scores = {} }) {
  const options = { top_k: "all", ...modelAsked(), ...(version ? { version } : {}), ...scores };
  const params = { sentence, ...(pair ? { text_pair: pair } : {}), ...options };
  if (String(new URLSearchParams(params)).length <= LONGEST_QUERY) return { method: "GET", path: "classify", params };
  return { method: "POST", path: "classify", body: { ...textsOf([[sentence, pair]]), ...options } };
}

export function requestForMany(texts, options) {
  return { method: "POST", path: "classify", body: { ...textsOf(texts), ...options } };
}

function textsOf(texts) {
  if (texts.some(([, second]) => second)) return { pairs: texts.map(([first, second]) => [first, second ?? ""]) };
  return { sentences: texts.map(([first]) => first) };
}

// The answer's { body, headers }, or { problem, status, retryAfter }: one sentence for the reader.
export async function ask({ method, path, params, body }, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const query = String(new URLSearchParams(params ?? {}));
  const address = query ? `${path}?${query}` : path;
  let response, content;
  try {
    response = await fetch(address, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
    content = await response.json().catch(() => null);
  } catch {
    return { problem: NO_ANSWER, status: 0 };
  }
  if (response.status === 401) askForKey();
  if (response.ok && content !== null) return { body: content, headers: response.headers };
  const said = typeof content?.error === "string" ? content.error : "The server does not say why.";
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return { problem: `${said} (${response.status})`, status: response.status, retryAfter };
}

export const sayWhatIsRight = (id, right) =>
  ask({ method: "POST", path: "feedback", body: { ...modelAsked(), id, ...right } });

// The versions of the model that is asked, and which models there are.
export const getModels = () => ask({ method: "GET", path: "models", params: modelAsked() });

// A file that is had only with the key, which a link does not send: its { blob }, or { problem }.
export async function fetchFile(path) {
  try {
    const response = await fetch(path, { headers: { Authorization: `Bearer ${key}` } });
    return response.ok ? { blob: await response.blob() } : { problem: `It cannot be had (${response.status}).` };
  } catch {
    return { problem: NO_ANSWER };
  }
}
