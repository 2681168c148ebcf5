// Sends what each line of a file asks for, `METHOD PATH [FILE]`, and prints status and body of each answer.
import { readFileSync } from "node:fs";

const [base, asked] = process.argv.slice(2);
for (const line of readFileSync(asked, "utf-8").trim().split("\n")) {
  const [method, path, file] = line.split(" ");
  const body = file && readFileSync(file);
  const answer = await fetch(base + path, { method, body, headers: { "Content-Type": "application/json" } });
  console.log(`${answer.status}\t${await answer.text()}`);
}
