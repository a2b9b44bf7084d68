// How the service is, in the header and in a notice that is there while something is the matter.

import { service } from "./service.js";
import { versionOf } from "./words.js";

const byId = (id) => document.getElementById(id);
const AGAIN = "This page tries again by itself; nothing you added is lost.";
const FIRST =
  "No model serves yet. First run medloop retrain DATASET: its model serves here as soon as it is " +
  "promoted. Without images of your own, make run trains one on drawn images.";

/** Keep header, notice and the choice of data set as the service is. */
export function listenToService() {
  service.addEventListener("change", () => {
    showNotice(whatIsTheMatter());
    showServed();
    showChoice();
  });
}

function whatIsTheMatter() {
  const { trouble, datasets } = service;
  if (trouble?.kind === "token") return "This service needs an access token.";
  if (trouble?.isOfToken) return trouble.message;
  if (trouble) return `${trouble.message} ${AGAIN}`;
  if (!datasets.length) return `${FIRST} ${AGAIN}`;
  return "";
}

function showNotice(text) {
  const said = byId("notice").querySelector("p");
  // written anew, the same words would be read out again
  if (said.textContent !== text) said.textContent = text;
  byId("notice").hidden = !text;
  byId("enter-token").hidden = service.trouble?.kind !== "token";
}

function showServed() {
  const names = (service.model?.models ?? []).map((m) => {
    const { title = m.dataset, synthetic } = service.datasets.find((d) => d.dataset === m.dataset) ?? {};
    return `${title}, ${versionOf(m.model_version)}${synthetic ? " (synthetic)" : ""}`;
  });
  const text = service.trouble ? "Not connected" : names.join(" · ") || "No model yet";
  if (byId("served").textContent !== text) byId("served").textContent = text;
  byId("serving").dataset.state = service.isUp ? "up" : "down";
  byId("open-models").disabled = !service.model;
}

function showChoice() {
  const select = byId("dataset");
  const names = service.datasets.map((d) => d.dataset);
  if (names.join() !== [...select.options].map((o) => o.value).join()) {
    const chosen = select.value;
    select.replaceChildren(...service.datasets.map((d) => new Option(d.title, d.dataset)));
    if (names.includes(chosen)) select.value = chosen;
  }
  byId("dataset-choice").hidden = names.length < 2;
}
