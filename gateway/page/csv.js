// Tables of text as RFC 4180 describes them: read strictly, written so that no spreadsheet takes a text for a formula.

const SEPARATORS = [",", ";", "\t"];
const WORDS = { ",": "comma", ";": "semicolon", "\t": "tab" };

export class TableError extends Error {}

// The text of a file: UTF-8, or UTF-16 with its mark, as spreadsheets write it.
export function decoded(bytes) {
  const [first, second] = bytes;
  const sixteen = { "255,254": "utf-16le", "254,255": "utf-16be" }[`${first},${second}`];
  let text;
  try {
    text = new TextDecoder(sixteen ?? "utf-8", { fatal: true }).decode(bytes); // takes the mark off
  } catch {
    throw new TableError("The file is not UTF-8: save it as “CSV UTF-8”.");
  }
  if (text.includes("\0")) throw new TableError("The file is not text: save it as CSV.");
  return text;
}

export function linesOf(text) {
  return text.split(/\r\n|\n|\r/).filter((line) => line.trim() !== "");
}

// Which separator the first record has most of, outside quotation marks.
export function separatorOf(text) {
  const counts = new Map(SEPARATORS.map((separator) => [separator, 0]));
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) break;
    else if (!quoted && counts.has(character)) counts.set(character, counts.get(character) + 1);
  }
  return SEPARATORS.reduce((best, one) => (counts.get(one) > counts.get(best) ? one : best));
}

// Records of a table, each as long as the first; lines with nothing in them are left out.
//
// Throws TableError, with the line: a quotation mark where none may be, one that is never closed, or a record that is
// longer or shorter.
export function parsed(text, separator = separatorOf(text)) {
  const reader = new Reader(text, separator);
  const records = [];
  for (let record = reader.record(); record; record = reader.record()) {
    const { cells, line } = record;
    if (cells.length === 1 && cells[0] === "" && !record.quoted) continue;
    const width = records[0]?.length ?? cells.length;
    if (cells.length !== width) {
      throw new TableError(
        `Line ${line} has ${cells.length} columns, the first one ${width}: ` +
          `a text with a ${WORDS[separator]} in it has to stand in quotation marks.`,
      );
    }
    records.push(cells);
  }
  return records;
}

class Reader {
  #text;
  #ends;
  #at = 0;
  #line = 1;

  constructor(text, separator) {
    this.#text = text;
    this.separator = separator;
    this.#ends = new RegExp(`[${separator}\r\n"]`, "g");
  }

  record() {
    if (this.#at >= this.#text.length) return null;
    const line = this.#line;
    const quoted = this.#text[this.#at] === '"';
    const cells = [this.#cell()];
    while (this.#text[this.#at] === this.separator) {
      this.#at += 1;
      cells.push(this.#cell());
    }
    if (this.#text[this.#at] === "\r" && this.#text[this.#at + 1] === "\n") this.#at += 1;
    this.#at += 1; // the line break, or the end
    this.#line += 1;
    return { cells, line, quoted };
  }

  #cell() {
    return this.#text[this.#at] === '"' ? this.#quoted() : this.#plain();
  }

  #plain() {
    this.#ends.lastIndex = this.#at;
    const end = this.#ends.exec(this.#text)?.index ?? this.#text.length;
    if (this.#text[end] === '"') {
      throw new TableError(`Line ${this.#line} has a quotation mark inside a text that does not begin with one.`);
    }
    const cell = this.#text.slice(this.#at, end);
    this.#at = end;
    return cell;
  }

  #quoted() {
    const line = this.#line;
    const parts = [];
    let from = this.#at + 1;
    for (;;) {
      const end = this.#text.indexOf('"', from);
      if (end < 0) throw new TableError(`Line ${line} has a quotation mark that is never closed.`);
      parts.push(this.#text.slice(from, end));
      if (this.#text[end + 1] !== '"') {
        this.#at = end + 1;
        break;
      }
      from = end + 2; // two of them stand for one
    }
    const cell = parts.join('"');
    this.#line += cell.match(/\r\n|\n|\r/g)?.length ?? 0;
    const next = this.#text[this.#at];
    if (next !== undefined && !`${this.separator}\r\n`.includes(next)) {
      throw new TableError(
        `Line ${this.#line} goes on after a closing quotation mark; one inside a text is written twice.`,
      );
    }
    return cell;
  }
}

// Whether the first record names the columns: a guess that the reader can change.
export function hasHeading([first, ...rest]) {
  const names = /^(\w+_)?(texto?|texte|sentences?|frase|title|t[ií]tulo|label|category|id|language)$/i;
  if (first.some((cell) => names.test(cell.trim()))) return true;
  const short = first.every((cell) => cell.trim() !== "" && cell.length <= 40);
  return first.length > 1 && short && rest.length > 0 && new Set(first).size === first.length;
}

// Which column is most likely the text: one that is named so, or the one with the longest cells.
export function textColumn(heading, rows) {
  const named =
    heading?.findIndex((name) => /^(text|texto|sentence|sentences|frase|idea_title)$/i.test(name.trim())) ?? -1;
  if (named >= 0) return named;
  const lengths = (rows[0] ?? []).map((_, column) =>
    rows.slice(0, 200).reduce((sum, row) => sum + row[column].length, 0),
  );
  return Math.max(0, lengths.indexOf(Math.max(...lengths)));
}

// --- Writing

const FORMULA = /^\s*[=+\-@＝＋－＠\t\r]|^[\t\r\n]/u;
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

// A cell that a spreadsheet would compute gets an apostrophe in front, which makes it text.
export function safe(value) {
  const text = String(value ?? "");
  const harmless = NUMBER.test(text) || !FORMULA.test(text) ? text : `'${text}`;
  return /[",;\t\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

// With the mark by which spreadsheets know UTF-8.
export function written(records) {
  return `\ufeff${records.map((cells) => `${cells.map(safe).join(",")}\r\n`).join("")}`;
}
