// The image beside its overlay. The overlay comes at full strength and is faded here, so that
// its opacity changes at once and without asking the service again.

/** The two pictures of a card. */
export function openPictures(card, file) {
  const find = (selector) => card.querySelector(selector);
  let address;

  find(".opacity").addEventListener("input", fade);

  function fade() {
    find(".overlay").style.opacity = find(".opacity").value / 100;
    find("output").textContent = `${find(".opacity").value} %`;
  }

  /** Show the file itself; false where the browser cannot draw it. */
  async function drawFile() {
    address ??= URL.createObjectURL(file);
    try {
      await draw(address);
      return true;
    } catch {
      return false;
    }
  }

  /** Show the image at an address, beside and below the overlay. */
  async function draw(from) {
    find(".original").src = from;
    find(".plain").src = from;
    await find(".original").decode();
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

  /** The overlay that was expected does not come, or not yet. */
  function miss(message) {
    find(".missed").hidden = false;
    find(".missed").textContent = message;
  }

  function close() {
    if (address) URL.revokeObjectURL(address);
  }

  return { drawFile, draw, cover, expect, miss, close };
}
