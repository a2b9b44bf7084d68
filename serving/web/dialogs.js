// The two dialogs: model card, access token.

import { token } from "./client.js";
import { modelCards } from "./modelcard.js";
import { service } from "./service.js";

const byId = (id) => document.getElementById(id);

const WHY = {
  token_needed: "This service answers only to those who have a token.",
  token_malformed: "That was no token of this service. Was it copied whole?",
};

/** Make the dialogs and the buttons that open them work. */
export function listenToDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    // a click beside the dialog's content hits the dialog itself
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  byId("open-models").addEventListener("click", showModels);
  byId("enter-token").addEventListener("click", askToken);
  byId("token-form").addEventListener("submit", useToken);
  byId("forget-token").addEventListener("click", forgetToken);
  service.addEventListener("change", askTokenOnce);
  service.addEventListener("change", showForget);
  service.addEventListener("change", () => byId("models").open && drawModels());
}

function showModels() {
  drawModels();
  byId("models").showModal();
}

function drawModels() {
  byId("models-body").replaceChildren(...modelCards(service.model, service.datasets));
}

let asked = null;

function askTokenOnce() {
  if (service.trouble?.kind !== "token" || service.trouble === asked) return;
  asked = service.trouble;
  askToken();
}

function askToken() {
  const { code, message } = service.trouble;
  byId("token-why").textContent = WHY[code] ?? message;
  if (!byId("token").open) byId("token").showModal();
}

function useToken(event) {
  event.preventDefault();
  token.set(byId("token-value").value.trim());
  byId("token-value").value = "";
  byId("token").close();
  service.look();
}

function forgetToken() {
  token.forget();
  service.look();
}

function showForget() {
  byId("forget-token").hidden = !token.get();
  // a link sends no token, so it would only be refused
  byId("api").hidden = Boolean(token.get()) || service.trouble?.kind === "token";
}
