// Small things that are said, or done, the same way everywhere.

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** A model's version, as it stands behind a name. */
export const versionOf = (version) => (version == null ? "not registered" : `version ${version}`);

/** List items of reasons, each `{message}` or plain text. */
export function listOf(reasons = []) {
  return reasons.map((reason) => {
    const item = document.createElement("li");
    item.textContent = reason.message ?? reason;
    return item;
  });
}

/** A list item that names a source: text, or `{title, url}`. */
export function link(source) {
  const item = document.createElement("li");
  const url = source.url ?? "";
  if (!/^https?:\/\//.test(url)) {
    item.textContent = source.title ?? source;
    return item;
  }
  item.append(anchor(url, source.title ?? url));
  return item;
}

/** A link that leads elsewhere, and tells that place nothing. */
export function anchor(url, text) {
  return Object.assign(document.createElement("a"), {
    href: url, textContent: text, target: "_blank", rel: "noopener noreferrer",
  });
}

/** Make a change; if it hides what has the focus in `part`, `next` gets the focus. */
export function keepFocus(part, next, change) {
  const focused = document.activeElement;
  change();
  if (part.contains(focused) && focused.closest("[hidden]")) next.focus();
}

/** Let the browser keep a file under a name. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 0);
}

/** Say something to who cannot see the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
