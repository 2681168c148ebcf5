// A request as curl and as Python, with every character of it as it is.
//
// A character that cannot be seen, or does something to a terminal, is written by its number.

import { hasKey } from "./api.js";
import { add, copy } from "./dom.js";

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;
const EACH_UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

const hex = (number, digits) => number.toString(16).padStart(digits, "0");
const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function asCurl({ method, path, params, body }, base, withKey) {
  const address = new URL(path, base).href;
  const lines = withKey ? ['-H "Authorization: Bearer $API_KEY"'] : [];
  if (method === "POST") {
    lines.push("-H 'Content-Type: application/json'", "--data-binary @- <<'END'");
    return `${["curl " + inShell(address), ...lines].join(" \\\n  ")}\n${asJson(body)}\nEND`;
  }
  const pairs = Object.entries(params).map(([name, value]) => `${name}=${value}`.toWellFormed());
  if (pairs.some((text) => UNSEEN.test(text))) {
    return ["curl " + inShell(`${address}?${new URLSearchParams(params)}`), ...lines].join(" \\\n  ");
  }
  const data = pairs.map((text) => `--data-urlencode ${inShell(text)}`);
  return ["curl --get " + inShell(address), ...lines, ...data].join(" \\\n  ");
}

function asJson(value) {
  const escaped = (match) => Array.from({ length: match.length }, (_, at) => `\\u${hex(match.charCodeAt(at), 4)}`);
  return JSON.stringify(value).replace(EACH_UNSEEN, (match) => escaped(match).join(""));
}

export function asPython({ method, path, params, body }, base, withKey) {
  const argument = method === "GET" ? `params=${literal(params, 1)}` : `json=${literal(body, 1)}`;
  const lines = [`"${new URL(path, base).href}"`, argument];
  if (withKey) lines.push('headers={"Authorization": "Bearer " + os.environ["API_KEY"]}');
  lines.push("timeout=30");
  return [
    ...(withKey ? ["import os", ""] : []),
    "import requests",
    "",
    `answer = requests.${method.toLowerCase()}(`,
    ...lines.map((line) => `    ${line},`),
    ")",
    "answer.raise_for_status()",
    "print(answer.json())",
  ].join("\n");
}

function literal(value, depth) {
  if (typeof value === "string")
    return `"${value.toWellFormed().replace(/[\\"]|[\p{C}\p{Zl}\p{Zp}]/gu, pythonEscape)}"`;
  if (typeof value !== "object") return String(value);
  const parts = Array.isArray(value)
    ? value.map((one) => literal(one, depth + 1))
    : Object.entries(value).map(([name, one]) => `"${name}": ${literal(one, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const indent = "    ".repeat(depth);
  return `${open}\n${parts.map((part) => `${indent}    ${part},\n`).join("")}${indent}${close}`;
}

function pythonEscape(character) {
  const named = { "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
  if (named) return named;
  const point = character.codePointAt(0);
  if (point > 0xffff) return `\\U${hex(point, 8)}`;
  return point > 0xff ? `\\u${hex(point, 4)}` : `\\x${hex(point, 2)}`;
}

const WRITERS = { curl: asCurl, Python: asPython };

export class Snippets {
  #codes = {};

  constructor(place) {
    for (const language of Object.keys(WRITERS)) {
      const head = add(place, "div", "row");
      add(head, "strong", "", language);
      const button = add(head, "button", "second", "Copy");
      button.type = "button";
      button.ariaLabel = `Copy the ${language} request`;
      const told = add(head, "span", "unseen");
      told.setAttribute("role", "status");
      const block = add(place, "pre", "code");
      block.tabIndex = 0; // a long one scrolls, by keys too
      block.setAttribute("role", "region");
      block.ariaLabel = `Request in ${language}`;
      this.#codes[language] = add(block, "code");
      button.addEventListener("click", async () => {
        const done = await copy(this.#codes[language].textContent);
        button.textContent = done ? "Copied" : "Select and copy it";
        told.textContent = done ? `The ${language} request is copied.` : "";
        setTimeout(() => (button.textContent = "Copy"), 3_000);
      });
    }
  }

  show(request) {
    for (const [language, write] of Object.entries(WRITERS)) {
      this.#codes[language].textContent = write(request, document.baseURI, hasKey());
    }
  }
}
