// How far several images are, with a way to stop them all.

import { keepFocus, say } from "./words.js";

const byId = (id) => document.getElementById(id);
const tasks = new Set();
let total = 0;

/** A task waits or runs. */
export function began(task) {
  if (!tasks.size) total = 0;
  total += 1;
  tasks.add(task);
  show();
}

/** A task has its answer, or will have none. */
export function ended(task) {
  tasks.delete(task);
  show();
  if (total > 1 && !tasks.size) say(`All ${total} images are done`);
}

/** Make the button work. */
export function listenToBatch() {
  byId("cancel-all").addEventListener("click", () => tasks.forEach((task) => task.stop()));
}

function show() {
  const done = total - tasks.size;
  keepFocus(byId("batch"), byId("files"), () => {
    byId("batch").hidden = total < 2 || !tasks.size;
  });
  byId("batch-bar").max = total;
  byId("batch-bar").value = done;
  byId("batch-text").textContent = `${done} of ${total}`;
}
