// One image and what the model says about it.

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Make a card for a file; `onTarget` is called with the class a person wants explained. */
export function openCard(file, { onTarget }) {
  const element = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const addresses = [];
  let drawn = false;

  find(".file").textContent = file.name || "pasted image";
  find(".remove").addEventListener("click", () => {
    addresses.forEach((address) => URL.revokeObjectURL(address));
    const next = element.nextElementSibling ?? document.getElementById("drop");
    element.remove();
    next.focus();
  });
  find(".target").addEventListener("change", (event) => onTarget(event.target.value));
  find(".opacity").addEventListener("input", dim);

  function dim() {
    find(".overlay").style.opacity = find(".opacity").value / 100;
  }

  function wait() {
    find(".working").hidden = false;
    find(".failure").hidden = true;
  }

  function fail(message) {
    find(".working").hidden = true;
    find(".failure").hidden = false;
    find(".failure").textContent = message;
  }

  function show({ prediction, target, overlay, about }, classes) {
    const title = (name) => classes.find((c) => c.name === name)?.title ?? name;
    find(".working").hidden = true;
    find(".answer").hidden = false;
    find(".synthetic").hidden = !prediction.synthetic;
    find(".title").textContent = prediction.title;
    find(".percent").textContent = percent(prediction.confidence);
    find(".bars tbody").replaceChildren(...bars(prediction.probabilities, title));
    find(".target").replaceChildren(
      ...Object.keys(prediction.probabilities).map((name) => new Option(title(name), name)),
    );
    find(".target").value = target;
    find(".overlay").src = overlay;
    find(".overlay").alt = `Where the model found support for ${title(target)}`;
    find(".about").textContent = about;
    find(".provenance").textContent =
      `${prediction.dataset_title}, model version ${prediction.model_version}, ` +
      `request ${prediction.request_id}`;
    dim();
  }

  function bars(probabilities, title) {
    const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
    return sorted.map(([name, share]) => {
      const row = document.createElement("tr");
      const label = Object.assign(document.createElement("th"), { scope: "row" });
      label.textContent = title(name);
      label.style.setProperty("--share", `${100 * share}%`);
      const number = document.createElement("td");
      number.textContent = percent(share);
      row.append(label, number);
      return row;
    });
  }

  function showOriginal(source, asPng) {
    if (drawn) return;
    drawn = true;
    const draw = (address) => {
      addresses.push(address);
      find(".original").src = address;
      find(".plain").src = address;
    };
    find(".original").addEventListener("error", async () => draw(await asPng()), { once: true });
    draw(URL.createObjectURL(source));
  }

  return { element, wait, fail, show, showOriginal };
}
