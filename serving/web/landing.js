// Bringing images into a landing folder, for whoever may.

import { askLanding, bring, token } from "./client.js";
import { pause } from "./jobs.js";
import { service } from "./service.js";

const byId = (id) => document.getElementById(id);
const OUTCOMES = { accepted: "accepted", duplicate: "is there already", refused: "refused" };
const MOST_BUSY = 20;
let datasets = [];
let askedWith;
let sending = new AbortController();

/** Offer it to whoever may, and make the form work. */
export function listenToLanding() {
  service.addEventListener("change", offer);
  byId("open-landing").addEventListener("click", () => byId("landing").showModal());
  byId("landing").addEventListener("close", () => sending.abort());
  byId("landing-dataset").addEventListener("change", showLabels);
  byId("landing-form").addEventListener("submit", sendAll);
}

/** Asked once for each token: who may not is not to fill the log with refusals. */
async function offer() {
  const { trouble, model } = service;
  if (trouble && !trouble.isOfToken) return;
  const may = trouble ? trouble.code === "not_allowed" : model.may_upload;
  const shown = may ? token.get() : undefined;
  if (shown === askedWith) return;
  askedWith = shown;
  datasets = may ? await askLanding().catch(() => []) : [];
  byId("landing-dataset").replaceChildren(...datasets.map((d) => new Option(d.title, d.dataset)));
  byId("open-landing").hidden = !datasets.length;
  showLabels();
}

function chosen() {
  return datasets.find((d) => d.dataset === byId("landing-dataset").value);
}

function showLabels() {
  const labels = chosen()?.labels ?? [];
  byId("landing-label").replaceChildren(
    new Option("Nobody has labelled them yet", ""),
    ...labels.map(({ label, title }) => new Option(title, label)),
  );
  byId("landing-hint").textContent = chosen()?.labels_from
    ? `The labels of this data set come from its table, ${chosen().labels_from}.`
    : "Images without a label wait until a person has sorted them; no model learns from them.";
}

async function sendAll(event) {
  event.preventDefault();
  const files = [...byId("landing-files").files];
  const options = { dataset: chosen().dataset, label: byId("landing-label").value };
  sending = new AbortController();
  const { signal } = sending;
  const counts = { accepted: 0, duplicate: 0, refused: 0 };
  let then = "";
  byId("landing-send").disabled = true;
  byId("landing-results").replaceChildren();
  for (const [number, file] of files.entries()) {
    if (signal.aborted) break;
    tell(`Sending ${number + 1} of ${files.length} …`);
    const result = await sendOne(file, { ...options, signal });
    counts[result.status] += 1;
    if (result.status === "accepted") then = result.then;
    show(file, result);
  }
  const { accepted, duplicate, refused } = counts;
  tell(`${accepted} accepted, ${duplicate} there already, ${refused} refused. ${then}`.trim());
  byId("landing-files").value = "";
  byId("landing-send").disabled = false;
}

// A busy service is waited for; all else is told, and sending the file again is safe.
async function sendOne(file, options) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await bring(file, options);
    } catch (trouble) {
      if (trouble.kind === "token") service.report(trouble);
      if (trouble.kind !== "busy" || attempt === MOST_BUSY) {
        return { status: "refused", message: trouble.message };
      }
      tell(`The service is busy; sending again in ${trouble.seconds} s …`);
      await pause(trouble.seconds * 1000, options.signal).catch(() => {});
    }
  }
}

function show(file, { status, message }) {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("b"), { textContent: file.name });
  const because = status === "refused" && message ? ` ${message}` : "";
  item.dataset.status = status;
  item.append(name, `: ${OUTCOMES[status]}.${because}`);
  byId("landing-results").append(item);
}

function tell(text) {
  byId("landing-said").textContent = text;
}
