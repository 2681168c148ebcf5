// Many texts asked in batches, of one version or of two: bounded, in order, and ended by the reader at any time.

import { ask, requestForMany } from "./api.js";
import { scoresOf } from "./calibrated.js";

export const BATCH_TEXTS = 64;
const BATCH_CHARACTERS = 100_000;
const TRIES = 6;
const PASSING = [0, 429, 502, 503, 504]; // what may be over in a moment
const VISIBLE = /[^\p{C}\p{Z}]/u;

// The run cannot go on; the message says why.
export class RunError extends Error {}

export const isBlank = ([first, second]) => !VISIBLE.test(`${first}${second ?? ""}`);

// Rows in batches; each row has { texts, answers: [], problem }. Rows without a visible character are not asked.
export function batchesOf(rows) {
  const batches = [];
  let characters = Infinity;
  for (const row of rows) {
    if (isBlank(row.texts)) {
      row.problem = "Empty: not asked.";
      continue;
    }
    const length = row.texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    if (characters + length > BATCH_CHARACTERS || batches.at(-1).length === BATCH_TEXTS) {
      batches.push([]);
      characters = 0;
    }
    batches.at(-1).push(row);
    characters += length;
  }
  return batches;
}

// Asks each version for every row; `told` is called after each batch with the number of rows that are done.
//
// Throws RunError: an answer that does not pass, or the server stays away; AbortError: the reader ended it.
export async function run(rows, versions, options, signal, told) {
  const batches = batchesOf(rows);
  let done = rows.length - batches.reduce((sum, batch) => sum + batch.length, 0);
  told(done);
  for (const batch of batches) {
    await Promise.all(versions.map((version, place) => fill(batch, place, version, options, signal)));
    done += batch.length;
    told(done);
  }
}

async function fill(batch, place, version, options, signal) {
  let left = batch;
  while (left.length > 0) {
    const request = requestForMany(
      left.map(({ texts }) => texts),
      { ...options, ...scoresOf(version), version },
    );
    const reply = await askPatiently(request, signal);
    if (!reply.problem) {
      left.forEach((row, at) => (row.answers[place] = reply.body[at]));
      return;
    }
    const wrong = wrongOne(reply, left);
    if (wrong) {
      wrong.problem = reply.problem.replace(/^(The sentence|Sentence \d+)/, "This text");
      left = left.filter((row) => row !== wrong);
    } else if (reply.status === 413 && left.length > 1) {
      const half = Math.ceil(left.length / 2); // this gateway takes fewer at a time
      await fill(left.slice(0, half), place, version, options, signal);
      left = left.slice(half);
    } else {
      throw new RunError(reply.problem);
    }
  }
}

// The row that an error is about: the gateway numbers them, or there is but one.
function wrongOne({ status, problem }, rows) {
  if (status !== 413 && status !== 422) return null;
  const number = /^Sentence (\d+) /.exec(problem)?.[1];
  if (number) return rows[Number(number) - 1] ?? null;
  return rows.length === 1 && problem.startsWith("The sentence") ? rows[0] : null;
}

async function askPatiently(request, signal) {
  for (let attempt = 1; ; attempt += 1) {
    const reply = await ask(request, signal);
    signal.throwIfAborted();
    if (!PASSING.includes(reply.status) || attempt === TRIES) return reply;
    await pause(Math.max(reply.retryAfter, 0.25 * 2 ** attempt), signal);
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
