// The page: takes images, has each explained by the service it came from, shows the answers.

import { began, ended, listenToBatch } from "./batch.js";
import { listenToDialogs } from "./dialogs.js";
import { listenToHistory } from "./history.js";
import { listenToLanding } from "./landing.js";
import { listenToService } from "./notice.js";
import { listenToSamples } from "./samples.js";
import { service } from "./service.js";
import { openTask } from "./task.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);

function takeFiles(files) {
  const chosen = () => byId("dataset").value;
  const options = { chosen, onBegin: began, onEnd: ended, onRemove: focusNext };
  const tasks = [...files].map((file) => openTask(file, options));
  if (!tasks.length) return;
  byId("results").prepend(...tasks.map(({ card }) => card.element));
  say(tasks.length > 1 ? `${tasks.length} images added` : `${tasks[0].card.name} added`);
  tasks.forEach((task) => task.begin());
}

// a keyboard would otherwise be thrown back to the top of the page
function focusNext(element) {
  (element.nextElementSibling ?? byId("files")).focus();
}

function listenToFiles() {
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

listenToFiles();
listenToBatch();
listenToHistory();
listenToDialogs();
listenToLanding();
listenToService();
listenToSamples(takeFiles);
service.look();
