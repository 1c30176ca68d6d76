// Files with JavaScript: progress, then a summary with the first rows and the results to save. Without it, the browser
// sends the file and saves the answer.

const SHOWN_ROWS = 20;
const SHOWN_LABELS = 8;
const SEPARATORS = [",", ";", "\t"];
const MOST_HEADER = 1_000_000; // of characters in which the header ends
const NUMBER = /^-?[\d.]+(e[+-]?\d+)?$/;

const form = document.getElementById("file-form");
const steps = document.getElementById("file-progress");
const step = document.getElementById("file-step");
const bar = steps.querySelector("progress");
const answer = document.getElementById("file-answer");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  document.getElementById("file-problems")?.remove();
  answer.replaceChildren();
  send(new FormData(form));
});

const drop = form.querySelector(".drop");
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") document.getElementById("file").files = event.dataTransfer.files;
  });
}

function send(body) {
  const request = new XMLHttpRequest(); // fetch tells no progress of what is sent
  request.upload.addEventListener("progress", (event) => progress("Sending the file", event.loaded / event.total));
  request.upload.addEventListener("load", () => progress("Predicting all rows"));
  request.addEventListener("load", () => finish(request));
  request.addEventListener("error", () => refuse({ detail: "The server cannot be reached. Nothing was predicted." }));
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/csv, application/problem+json");
  progress("Sending the file", 0);
  request.send(body);
}

/** Show how far it is; without a share, only that it goes on. */
function progress(text, share) {
  steps.hidden = false;
  form.querySelector("button").disabled = true;
  step.textContent = share === undefined ? `${text} \u2026` : `${text}: ${Math.round(100 * share)}\u202f%`;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

function finish(request) {
  if (request.status === 200) return summarize(request.responseText, request.getResponseHeader("Lockstep-Model-Version"));
  try {
    refuse(JSON.parse(request.responseText));
  } catch {
    refuse({ detail: `The server answered ${request.status}.` });
  }
}

function done() {
  steps.hidden = true;
  form.querySelector("button").disabled = false;
}

function refuse(problem) {
  done();
  const card = made("div", { className: "problems", role: "alert", tabIndex: -1 });
  card.append(made("h3", {}, "Nothing was predicted"), made("p", {}, problem.detail));
  const list = made("ul");
  for (const { row, column, problem: text } of problem.errors ?? []) {
    const item = made("li", {}, `row ${row}`);
    if (column) item.append(", ", made("b", {}, column));
    item.append(`: ${text}`);
    list.append(item);
  }
  if (problem.more_errors) list.append(made("li", {}, `and ${problem.more_errors.toLocaleString("en")} more`));
  card.append(list);
  answer.append(card);
  card.focus();
}

function summarize(text, version) {
  done();
  const [header, ...rows] = parse(text);
  const inputs = header.findLastIndex((name) => /^prediction_*$/.test(name));
  const count = rows.length.toLocaleString("en");
  const head = made("div", { className: "file-head", tabIndex: -1 });
  head.append(made("h3", {}, `${count} row${rows.length === 1 ? "" : "s"} predicted by version ${version}`), link(text));
  answer.append(head);
  if (header.length > inputs + 1) answer.append(shares(rows.map((row) => row[inputs])));
  answer.append(table([...header.slice(inputs), ...header.slice(0, inputs)], rows.map((row) => [...row.slice(inputs), ...row.slice(0, inputs)])));
  head.focus();
}

function link(text) {
  const name = document.getElementById("file").files[0]?.name.replace(/\.[^.]*$/, "") ?? "rows";
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  return made("a", { className: "button", href: address, download: `${name}-predictions.csv` }, "Save the results");
}

/** Show how often each label was answered. */
function shares(labels) {
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const list = made("ul", { className: "shares" });
  for (const [label, count] of [...counts].sort((a, b) => b[1] - a[1]).slice(0, SHOWN_LABELS)) {
    const item = made("li");
    const meter = made("meter", { min: 0, max: labels.length, value: count, ariaLabel: label });
    item.append(made("span", { className: "bar-label" }, label), meter, made("span", { className: "bar-share" }, count.toLocaleString("en")));
    list.append(item);
  }
  return list;
}

function table(header, rows) {
  const shown = rows.slice(0, SHOWN_ROWS);
  const frame = made("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "First rows of the results" });
  const whole = made("table");
  whole.append(made("caption", {}, rows.length > shown.length ? `The first ${shown.length} rows` : "All rows"));
  const head = made("tr");
  head.append(...header.map((name) => made("th", { scope: "col" }, name)));
  const body = made("tbody");
  for (const cells of shown) {
    const line = made("tr");
    line.append(...cells.map((text, place) => cell(text, header[place])));
    body.append(line);
  }
  const top = made("thead");
  top.append(head);
  whole.append(top, body);
  frame.append(whole);
  return frame;
}

function cell(text, column) {
  if (column.startsWith("probability_")) return made("td", { className: "number" }, `${(100 * text).toFixed(1)}\u202f%`);
  return made("td", { className: NUMBER.test(text) ? "number" : "" }, text.slice(0, 120));
}

function made(name, properties = {}, text) {
  const element = Object.assign(document.createElement(name), properties);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Read CSV as the server writes it: fields in quotes where needed, lines ended by CR LF. */
function parse(text) {
  const separator = SEPARATORS.map((sign) => [records(text.slice(0, MOST_HEADER), sign)[0]?.length ?? 0, sign]).sort((a, b) => b[0] - a[0])[0][1];
  return records(text, separator);
}

function records(text, separator) {
  const records = [];
  let [record, field, quoted] = [[], "", false];
  for (let place = text.startsWith("\ufeff") ? 1 : 0; place < text.length; place += 1) {
    const sign = text[place];
    if (quoted) {
      if (sign !== '"') field += sign;
      else if (text[place + 1] === '"') field += text[(place += 1)];
      else quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === separator) [record, field] = [[...record, field], ""];
    else if (sign === "\n") {
      records.push([...record, field.replace(/\r$/, "")]);
      [record, field] = [[], ""];
    } else field += sign;
  }
  return records;
}
