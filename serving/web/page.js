// The page: sends images to the service it came from and shows what it answers.

import { ask, askModels, originalOf } from "./client.js";
import { openCard } from "./card.js";

const AT_ONCE = 2;
const POLL_MS = 5000;

const byId = (id) => document.getElementById(id);
const queue = [];
let running = 0;
let served = [];

function takeFiles(files) {
  const cards = [...files].map((file) => {
    const card = openCard(file, { onTarget: (target) => send(card, file, target) });
    queue.push(() => send(card, file));
    return card.element;
  });
  byId("results").prepend(...cards);
  while (running < AT_ONCE && queue.length) work();
}

async function work() {
  running += 1;
  while (queue.length) {
    await queue.shift()();
    byId("progress").textContent = queue.length ? `${queue.length} images left` : "Done";
  }
  running -= 1;
}

async function send(card, file, target) {
  card.wait();
  try {
    const answer = await ask(file, { dataset: byId("dataset").value, target });
    const known = served.find((s) => s.dataset === answer.prediction.dataset);
    card.show(answer, known?.classes ?? []);
    card.showOriginal(file, () => originalOf(file, answer.prediction.dataset));
    byId("disclaimer").textContent = answer.prediction.disclaimer;
  } catch (problem) {
    card.fail(problem.message);
  }
}

async function follow() {
  try {
    served = await askModels();
    showServed();
  } catch (problem) {
    notice(problem.message);
    byId("model").textContent = "Not connected";
  }
  setTimeout(follow, POLL_MS);
}

function showServed() {
  notice(served.length ? "" : "No model serves yet: none has been promoted. This page looks again by itself.");
  byId("model").textContent = served
    .map((s) => `${s.title}, version ${s.model_version}${s.synthetic ? " (synthetic)" : ""}`)
    .join(" · ") || "No model yet";
  const names = served.map((s) => s.dataset);
  const select = byId("dataset");
  if (names.join() !== [...select.options].map((o) => o.value).join()) {
    const chosen = select.value;
    select.replaceChildren(...served.map((s) => new Option(s.title, s.dataset)));
    if (names.includes(chosen)) select.value = chosen;
  }
  byId("dataset-choice").hidden = names.length < 2;
}

function notice(text) {
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

function listen() {
  const drop = byId("drop");
  byId("files").addEventListener("change", (event) => {
    takeFiles(event.target.files);
    event.target.value = "";
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    takeFiles(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => takeFiles(event.clipboardData.files));
}

listen();
follow();
