// Asks the service. Every failure becomes an Error whose message is meant for a person.

const UNREACHABLE = "The service cannot be reached. This page tries again by itself.";

/** A prediction with its overlay (at full opacity) and text. */
export async function ask(file, { dataset, target }) {
  const fields = { dataset, target, opacity: "1" };
  return (await post("/explain", file, fields)).json();
}

/** The decoded image as a PNG address, for formats a browser cannot draw. */
export async function originalOf(file, dataset) {
  const answer = await post("/gradcam", file, { dataset, opacity: "0" });
  return URL.createObjectURL(await answer.blob());
}

/** The served data sets, each with its classes and the model's version. */
export async function askModels() {
  const [{ datasets }, { models }] = await Promise.all([get("/classes"), get("/model")]);
  const version = new Map(models.map((m) => [m.dataset, m.model_version]));
  return datasets.map((d) => ({ ...d, model_version: version.get(d.dataset) ?? "?" }));
}

async function get(path) {
  return (await send(path, {})).json();
}

function post(path, file, fields) {
  const form = new FormData();
  form.append("image", file);
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  return send(path, { method: "POST", body: form });
}

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error(UNREACHABLE);
  }
  if (!answer.ok) throw new Error(await reason(answer));
  return answer;
}

async function reason(answer) {
  try {
    const { error, request_id: id } = await answer.json();
    return answer.status < 500 ? error.message : `${error.message} (request ${id})`;
  } catch {
    return `The service answered with status ${answer.status}.`;
  }
}
