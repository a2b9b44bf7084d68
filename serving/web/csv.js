// Answers as CSV (RFC 4180), one row an image, one column a class.

const COLUMNS = {
  time: ({ time }) => time.toISOString(),
  file: ({ file }) => file,
  dataset: ({ prediction }) => prediction?.dataset,
  model_version: ({ prediction }) => prediction?.model_version,
  synthetic: ({ prediction }) => prediction?.synthetic,
  class: ({ prediction }) => prediction?.class,
  confidence: ({ prediction }) => prediction?.confidence,
  abstained: ({ prediction }) => prediction?.abstained,
  abstained_because: ({ prediction }) => messages(prediction?.abstained_because),
  review: ({ prediction }) => prediction?.review?.needed,
  review_reasons: ({ prediction }) => messages(prediction?.review?.reasons),
  request_id: ({ prediction }) => prediction?.request_id,
  error: ({ error }) => error,
};

/** The text of the file; begins with the mark by which Excel knows UTF-8. */
export function csv(entries) {
  const classes = new Set(entries.flatMap(({ prediction }) => Object.keys(prediction?.probabilities ?? {})));
  const head = [...Object.keys(COLUMNS), ...[...classes].map((name) => `p_${name}`)];
  const rows = entries.map((entry) => [
    ...Object.values(COLUMNS).map((column) => column(entry)),
    ...[...classes].map((name) => entry.prediction?.probabilities[name]),
  ]);
  return "\ufeff" + [head, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}

function messages(reasons = []) {
  return reasons.map((reason) => reason.message ?? reason).join("; ");
}

function quoted(value) {
  let text = String(value ?? "");
  if (typeof value === "string") text = safe(text);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Text that no spreadsheet runs, although it begins like a formula (pipelines/spreadsheet.py). */
function safe(text) {
  const isFormula = /^'*[\s\ufeff\u200b]*[=+\-@|\uff1d\uff0b\uff0d\uff20]|^'*[\t\r\n]/.test(text);
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
  return isFormula && !isNumber ? `'${text}` : text;
}
