// One image from the moment it is chosen: its card, and what is asked about it.

import { openCard } from "./card.js";
import { explain } from "./client.js";
import { note } from "./history.js";
import { enqueue, insist } from "./jobs.js";
import { service } from "./service.js";
import { percent, say } from "./words.js";

/**
 * Make a task for a file. `begin` has it answered and never throws; `stop` ends what is asked.
 * `chosen` tells the data set that is chosen now.
 * Overlays are kept, so that going back to a class asks nothing.
 */
export function openTask(file, { chosen, onBegin, onEnd, onRemove }) {
  const card = openCard(file);
  const explained = new Map();
  let dataset = chosen();
  let shown;
  let asking = new AbortController();

  async function begin() {
    asking = new AbortController();
    const { signal } = asking;
    onBegin(task);
    card.work("Waiting for its turn …");
    try {
      show(await enqueue(() => ask(signal), signal));
    } catch (trouble) {
      fail(trouble);
    }
    onEnd(task);
  }

  function ask(signal) {
    const attempt = async () => {
      card.work("Looking at the image …");
      const original = !(await card.pictures.drawFile());
      // added before the service was there to say which data sets it has
      dataset ||= chosen();
      return explain(file, { dataset, original, signal });
    };
    return insist(attempt, { signal, onWait: card.work });
  }

  function show(answer) {
    const { prediction, target } = answer;
    explained.set(target, answer);
    shown = target;
    card.show(answer, service.classes(prediction.dataset));
    if (answer.original) card.pictures.draw(answer.original);
    note(card, { prediction });
    document.getElementById("disclaimer").textContent = prediction.disclaimer;
    say(sentence(card.name, prediction));
  }

  function fail(trouble) {
    card.fail(trouble.message);
    if (trouble.kind !== "cancelled") note(card, { error: trouble.message });
  }

  async function explainClass({ detail: target }) {
    stop();
    asking = new AbortController();
    const { signal } = asking;
    card.pictures.expect();
    try {
      if (!explained.has(target)) explained.set(target, await askClass(target, signal));
      if (!signal.aborted) showClass(target);
    } catch (trouble) {
      if (trouble.kind === "cancelled") return;
      showClass(shown);
      card.pictures.miss(trouble.message);
    }
  }

  function askClass(target, signal) {
    const { prediction } = explained.get(shown);
    const attempt = () => explain(file, { dataset: prediction.dataset, target, signal });
    return insist(attempt, { signal, onWait: card.pictures.miss });
  }

  function showClass(target) {
    shown = target;
    const answer = explained.get(target);
    card.showTarget(answer, service.classes(answer.prediction.dataset));
  }

  function stop() {
    asking.abort();
  }

  card.element.addEventListener("explain", explainClass);
  card.element.addEventListener("cancel", stop);
  card.element.addEventListener("retry", begin);
  card.element.addEventListener("remove", () => {
    stop();
    onRemove(card.element);
    card.close();
  });
  const task = { card, begin, stop };
  return task;
}

function sentence(name, { title, confidence, abstained, review }) {
  const verdict = abstained ? "no decision" : `${title}, ${percent(confidence)}`;
  return `${name}: ${verdict}${review?.needed ? "; a person should look at this first" : ""}`;
}
