// Sample images of the chosen data set, for people who have no image at hand.

import { askSample, askSamples } from "./client.js";
import { service } from "./service.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);
let samples = [];
let askedFor;

/** Offer samples; a click gives its file to `take`. */
export function listenToSamples(take) {
  service.addEventListener("change", () => refresh(take));
  byId("dataset").addEventListener("change", () => show(take));
}

async function refresh(take) {
  if (service.datasets !== askedFor && service.isUp) {
    askedFor = service.datasets;
    try {
      samples = await askSamples();
    } catch {
      samples = []; // a page without samples is whole; what ails the service is told elsewhere
      askedFor = undefined;
    }
    show(take);
  }
}

function show(take) {
  const offered = samples.filter((sample) => sample.dataset === byId("dataset").value);
  byId("samples").querySelector("span").replaceChildren(...offered.map((s) => button(s, take)));
  byId("samples").querySelector("small").textContent = offered[0]?.credit ?? "";
  byId("samples").hidden = !offered.length;
}

function button(sample, take) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = sample.title;
  made.addEventListener("click", async () => {
    try {
      take([await askSample(sample)]);
    } catch (trouble) {
      say(trouble.message);
    }
  });
  return made;
}
