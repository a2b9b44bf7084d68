// What was answered in this session: a table, and the same as CSV. No pixels.

import { csv } from "./csv.js";
import { percent, save } from "./words.js";

const byId = (id) => document.getElementById(id);
const entries = [];

/** Note an answer, or (with `error`) that there was none. */
export function note(card, { prediction, error }) {
  const entry = { time: new Date(), file: card.name, prediction, error };
  entries.push(entry);
  byId("history").prepend(row(card, entry));
  byId("session").hidden = false;
}

function row(card, { time, file, prediction, error }) {
  const line = document.createElement("tr");
  const name = Object.assign(document.createElement("a"), { href: `#${card.element.id}`, textContent: file });
  name.addEventListener("click", () => card.element.focus());
  const cells = prediction
    ? [resultOf(prediction), percent(prediction.confidence), prediction.review?.needed ? "Yes" : "No"]
    : [`Failed: ${error}`, "", ""];
  line.append(cell(time.toLocaleTimeString()), cell(name), ...cells.map(cell));
  line.children[3].className = "number";
  return line;
}

function resultOf({ abstained, title }) {
  return abstained ? `No decision (nearest: ${title})` : title;
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function clear() {
  entries.length = 0;
  byId("history").replaceChildren();
  byId("session").hidden = true;
  byId("files").focus();
}

function download() {
  const stamp = new Date().toISOString().slice(0, 16).replace(/\D/g, "");
  save(new Blob([csv(entries)], { type: "text/csv" }), `medloop-${stamp}.csv`);
}

/** Make the buttons work. */
export function listenToHistory() {
  byId("download").addEventListener("click", download);
  byId("clear").addEventListener("click", clear);
}
