// One image and what the model says about it.

import { keepFocus, link, listOf, percent, versionOf } from "./words.js";
import { openPictures } from "./pictures.js";

let opened = 0;

/**
 * Make a card for a file. The card tells what a person does to it as `cancel`, `retry`,
 * `remove` and `explain` (detail: the class) events on its element.
 */
export function openCard(file) {
  const element = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const tell = (type, detail) => element.dispatchEvent(new CustomEvent(type, { detail }));
  const name = file.name || "Pasted image";
  const pictures = openPictures(element, file);

  element.id = `card-${++opened}`;
  find(".file").textContent = name;
  find(".file").id = `${element.id}-file`;
  element.setAttribute("aria-labelledby", `${element.id}-file`);
  for (const action of ["cancel", "retry", "remove"]) {
    const button = find(`.${action}`);
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    button.addEventListener("click", () => tell(action));
  }

  find(".enlarge").addEventListener("click", ({ target }) => {
    const large = element.classList.toggle("large");
    target.setAttribute("aria-pressed", String(large));
  });

  function enter(state) {
    element.setAttribute("aria-busy", String(state === "working"));
    element.dataset.state = state;
    keepFocus(element, element, () => {
      find(".working").hidden = find(".cancel").hidden = state !== "working";
      find(".skeleton").hidden = state !== "working";
      find(".failure").hidden = find(".retry").hidden = state !== "failed";
      find(".answer").hidden = state !== "done";
    });
  }

  function work(doing) {
    enter("working");
    find(".doing").textContent = doing;
  }

  function fail(message) {
    enter("failed");
    find(".failure").textContent = message;
  }

  function show(answer, classes) {
    const { prediction } = answer;
    enter("done");
    find(".synthetic").hidden = !prediction.synthetic;
    showVerdict(prediction);
    showClasses(prediction, classes);
    find(".provenance").textContent =
      `${prediction.dataset_title}, model ${versionOf(prediction.model_version)}` +
      ` · request ${prediction.request_id}`;
    showTarget(answer, classes);
  }

  function showVerdict(prediction) {
    const { abstained = false, review } = prediction;
    find(".eyebrow").textContent = abstained ? "Nearest class" : "Prediction";
    find(".predicted").classList.toggle("unsure", abstained);
    find(".title").textContent = prediction.title;
    find(".percent").textContent = percent(prediction.confidence);
    find(".abstention").hidden = !abstained;
    find(".abstention ul").replaceChildren(...listOf(prediction.abstained_because));
    find(".review").hidden = !review?.needed;
    find(".review ul").replaceChildren(...listOf(review?.reasons?.filter(isNews(prediction))));
  }

  function showClasses({ probabilities }, classes) {
    const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
    find(".bars").replaceChildren(...sorted.map(([name, share]) => bar(name, share, classes)));
  }

  function bar(name, share, classes) {
    const row = document.createElement("label");
    const choice = Object.assign(document.createElement("input"), {
      type: "radio", name: `${element.id}-class`, value: name,
    });
    choice.addEventListener("change", () => tell("explain", name));
    const title = Object.assign(document.createElement("span"), { textContent: titleOf(name, classes) });
    const track = Object.assign(document.createElement("span"), { className: "track" });
    track.append(document.createElement("i"));
    track.firstChild.style.width = `${100 * share}%`;
    const number = Object.assign(document.createElement("b"), { textContent: percent(share) });
    row.append(choice, title, track, number);
    return row;
  }

  /** Show another class's explanation; the prediction stays. */
  function showTarget(answer, classes) {
    const { target, overlay, about, recommendations = [], sources = [], attention } = answer;
    const title = titleOf(target, classes);
    find(`.bars input[value="${CSS.escape(target)}"]`).checked = true;
    find(".explained").textContent = title;
    pictures.cover(overlay, `Where the model found support for ${title}`);
    find(".attention").hidden = !attention;
    find(".attention").textContent = attention?.text ?? "";
    find(".attention").classList.toggle("note", Boolean(attention?.is_caution_needed));
    find(".about-title").textContent = `About: ${title}`;
    find(".about").textContent = about;
    find(".recommendations").hidden = !recommendations.length;
    find(".recommendations").replaceChildren(...listOf(recommendations));
    find(".sources").hidden = !sources.length;
    find(".sources ul").replaceChildren(...sources.map(link));
  }

  function close() {
    pictures.close();
    element.remove();
  }

  return { element, name, pictures, work, fail, show, showTarget, close };
}

// what the model abstained for is a reason for review, too, and was said already
function isNews({ abstained_because: said = [] }) {
  return ({ code }) => !said.some((reason) => reason.code === code);
}

function titleOf(name, classes) {
  return classes.find((c) => c.name === name)?.title ?? name;
}
