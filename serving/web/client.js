// Asks the service. Every failure becomes a Trouble, whose message is meant for a person.

const TOKEN = "medloop-token";
const BUSY = new Set([429, 503]);

/** What went wrong: `kind` is away, busy, no-model, token, cancelled or refused. */
export class Trouble extends Error {
  constructor(kind, message, { seconds = 0, code = "" } = {}) {
    super(message);
    this.kind = kind;
    this.code = code;
    this.seconds = seconds;
  }

  /** Whether there is no token, or one that is good for other things. */
  get isOfToken() {
    return this.kind === "token" || this.code === "not_allowed";
  }
}

/** The token a person entered; it lives as long as the tab. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/**
 * A prediction with its overlay (at full opacity) and text; with `original`, the decoded image
 * too, for formats a browser cannot draw.
 */
export async function explain(file, { dataset, target, original, signal }) {
  const fields = { dataset, target, original, opacity: "1" };
  return (await post("/explain", file, fields, signal)).json();
}

/** Which models answer. */
export async function askModel() {
  return (await send("/model")).json();
}

/** The classes of every served data set. */
export async function askClasses() {
  return (await (await send("/classes")).json()).datasets;
}

/** Sample images to try the models with. */
export async function askSamples() {
  return (await (await send("/samples")).json()).samples;
}

/** A sample image as a file. */
export async function askSample({ url, file }) {
  return new File([await (await send(url)).blob()], file);
}

/** The model card at an address that `/model` gave, as a file. */
export async function askCard(address) {
  return (await send(address)).blob();
}

/** The data sets whose landing folders take images, with their labels. */
export async function askLanding() {
  return (await (await send("/landing")).json()).datasets;
}

/** Bring one file into a landing folder; says what became of it. */
export async function bring(file, { dataset, label, signal }) {
  const path = `/landing/${encodeURIComponent(dataset)}`;
  const answer = await (await post(path, file, { label }, signal)).json();
  return { ...answer.results[0], then: answer.then };
}

async function post(path, file, fields, signal) {
  const form = new FormData();
  form.append("image", await readable(file), file.name || "image");
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  return send(path, { method: "POST", body: form, signal });
}

// A folder, or a file that was moved since, would otherwise look like a service that is away.
async function readable(file) {
  try {
    return new Blob([await file.arrayBuffer()], { type: file.type });
  } catch {
    throw new Trouble("refused", "The browser cannot read this file. Is it a folder, or was it moved?");
  }
}

async function send(path, options = {}) {
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch {
    if (options.signal?.aborted) throw new Trouble("cancelled", "Cancelled.");
    throw new Trouble("away", "The service cannot be reached.");
  }
  if (!answer.ok) throw await troubleOf(answer);
  return answer;
}

async function troubleOf(answer) {
  const { code, message } = await reason(answer);
  if (answer.status === 401) return new Trouble("token", message, { code });
  if (code === "no_champion") return new Trouble("no-model", message);
  const seconds = Number(answer.headers.get("Retry-After"));
  if (BUSY.has(answer.status) && seconds > 0) return new Trouble("busy", message, { seconds });
  return new Trouble("refused", message, { code });
}

async function reason(answer) {
  try {
    const { error, request_id: id } = await answer.json();
    const message = answer.status < 500 ? error.message : `${error.message} (request ${id})`;
    return { code: error.code, message };
  } catch {
    return { message: `The service answered with status ${answer.status}.` };
  }
}
