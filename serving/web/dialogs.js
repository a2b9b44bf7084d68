// The two dialogs: model card, access token.

import { token } from "./client.js";
import { modelCards } from "./modelcard.js";
import { service } from "./service.js";

const byId = (id) => document.getElementById(id);

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
  showForget();
}

function showModels() {
  byId("models-body").replaceChildren(...modelCards(service.model, service.datasets));
  byId("models").showModal();
}

let asked = null;

function askTokenOnce() {
  if (service.trouble?.kind !== "token" || service.trouble === asked) return;
  asked = service.trouble;
  askToken();
}

function askToken() {
  byId("token-why").textContent = service.trouble?.message ?? "";
  if (!byId("token").open) byId("token").showModal();
}

function useToken(event) {
  event.preventDefault();
  token.set(byId("token-value").value.trim());
  byId("token-value").value = "";
  byId("token").close();
  showForget();
  service.look();
}

function forgetToken() {
  token.forget();
  showForget();
  service.look();
}

function showForget() {
  byId("forget-token").hidden = !token.get();
}
