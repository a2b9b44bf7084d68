// The model card: what answers, what it was trained on, how well it did.

import { askCard, token } from "./client.js";
import { anchor, percent, save, versionOf } from "./words.js";

const FIGURES = {
  accuracy: "Accuracy",
  macro_sensitivity: "Sensitivity (mean of classes)",
  macro_specificity: "Specificity (mean of classes)",
  macro_auroc: "Area under ROC (mean of classes)",
  macro_auprc: "Area under precision-recall (mean of classes)",
  macro_f1: "F1 (mean of classes)",
  ece: "Calibration error (expected)",
  abstained: "Abstained",
  "abstained.low_confidence": "Abstained: not sure",
  "abstained.low_contrast": "Abstained: shows too little",
  "abstained.unlike_training_data": "Abstained: unlike the images it learnt from",
  accuracy_answered: "Accuracy where it did not abstain",
  accuracy_abstained: "Accuracy where it abstained",
};
const FACTS = {
  model_version: "Version",
  candidate: "Candidate",
  image_size: "Input, pixels a side",
  temperature: "Temperature of calibration",
  runtime: "Runtime",
  created_at: "Built",
  loaded_at: "Serving since",
  snapshot: "Snapshot of the images",
  split: "Split",
  run_id: "MLflow run",
  git_commit: "Code (git commit)",
};
const PARTS = { train: "to learn from", validation: "to choose by", test: "to test with" };
const REGISTRY = {
  unreachable: "The model registry cannot be reached; what was last served is served on.",
  failing: "The model registry answers with errors; what was last served is served on.",
  pinned: "This service was told to serve these models and follows no registry.",
};

/** Draw the card of every served model. */
export function modelCards({ models, refused, registry }, datasets) {
  const sections = models.map((model) => section(model, datasets.find((d) => d.dataset === model.dataset)));
  const remarks = [REGISTRY[registry], ...models.map(orphan), ...refused.map(refusal)].filter(Boolean);
  if (!models.length) remarks.unshift("No model serves yet.");
  return [...remarks.map((text) => made("p", text, "note")), ...sections];
}

/** What the registry has lost of a model that serves: its alias was removed by hand. */
function orphan({ title, registry_note: note }) {
  return note && `${title}: ${note}.`;
}

function section(model, dataset) {
  const whole = document.createElement("section");
  whole.append(made("h3", `${model.title}, ${versionOf(model.model_version)}`));
  if (model.card) whole.append(wholeCard(model));
  if (dataset?.synthetic) {
    whole.append(made("p", "Trained on images drawn by a program: it says nothing about real scans.", "note"));
  }
  if (dataset) {
    whole.append(made("p", `Tells apart: ${dataset.classes.map((c) => c.title).join(", ")}.`));
    whole.append(made("p", dataset.disclaimer, "hint"));
  }
  whole.append(made("h4", "Trained on"), ...training(model));
  whole.append(made("h4", "On test images it never saw"), figures(model.metrics));
  whole.append(made("h4", "Where it comes from"), facts(model));
  return whole;
}

// a browser sends no token along a link, so where there is one the page fetches the card itself
function wholeCard({ card, dataset, model_version: version }) {
  const link = anchor(card, "Model card, complete");
  link.addEventListener("click", async (event) => {
    if (!token.get()) return;
    event.preventDefault();
    try {
      save(await askCard(card), `${dataset}-v${version}-card.html`);
    } catch (trouble) {
      link.replaceWith(made("p", trouble.message, "note"));
    }
  });
  return link;
}

function training({ images, source, snapshot }) {
  const told = [];
  if (source) {
    const origin = made("p", `${source.origin}. Licence: ${source.licence}. `);
    if (source.url) origin.append(anchor(source.url, "The collection"));
    told.push(origin);
  }
  const parts = Object.entries(PARTS).filter(([part]) => images?.[part]);
  const counts = parts.map(([part, text]) => `${images[part].toLocaleString()} ${text}`);
  if (counts.length) told.push(made("p", `Images: ${counts.join(", ")}.`));
  return told.length ? told : [made("p", `Snapshot ${snapshot}.`)];
}

function figures(metrics) {
  const table = document.createElement("table");
  for (const [name, value] of Object.entries(metrics)) {
    const row = table.insertRow();
    const label = made("th", FIGURES[name] ?? readable(name));
    label.scope = "row";
    row.append(label, made("td", percent(value), "number"));
  }
  return table;
}

function readable(name) {
  return name.replace(/^abstained\./, "Without a decision: ").replaceAll("_", " ");
}

function facts(model) {
  const list = document.createElement("dl");
  for (const [name, label] of Object.entries(FACTS)) {
    if (model[name] != null) list.append(made("dt", label), made("dd", String(model[name])));
  }
  return list;
}

function refusal({ dataset, model_version: version, reason }) {
  return `${dataset}, ${versionOf(version)}, was not taken over: ${reason}`;
}

function made(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}
