// The image beside its overlay. The overlay comes at full strength and is faded here, so that
// its opacity changes at once and without asking the service again.

/** The two pictures of a card. */
export function openPictures(card, file) {
  const find = (selector) => card.querySelector(selector);
  const addresses = [];

  find(".opacity").addEventListener("input", fade);

  function fade() {
    find(".overlay").style.opacity = find(".opacity").value / 100;
    find("output").textContent = `${find(".opacity").value} %`;
  }

  function draw(blob) {
    const address = URL.createObjectURL(blob);
    addresses.push(address);
    find(".original").src = address;
    find(".plain").src = address;
    return find(".original").decode();
  }

  /** Show the image as sent; `asPng` is asked where the browser cannot draw it. */
  async function showOriginal(asPng) {
    if (addresses.length) return;
    try {
      await draw(file).catch(async () => draw(await asPng()));
    } catch {
      find(".original").alt = "The image as sent cannot be shown";
    }
  }

  function cover(overlay, text) {
    find(".overlay").src = overlay;
    find(".overlay").alt = text;
    find(".heat").removeAttribute("aria-busy");
    find(".missed").hidden = true;
    fade();
  }

  /** Another overlay is on its way. */
  function expect() {
    find(".heat").setAttribute("aria-busy", "true");
  }

  /** The overlay that was expected does not come. */
  function miss(message) {
    find(".heat").removeAttribute("aria-busy");
    find(".missed").hidden = false;
    find(".missed").textContent = message;
  }

  function close() {
    addresses.forEach((address) => URL.revokeObjectURL(address));
  }

  return { showOriginal, cover, expect, miss, close };
}
