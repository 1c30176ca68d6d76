// The last answers, kept by this browser and nowhere else.

const MOST = 10;
const MOST_CHARACTERS = 20_000; // a longer row is listed, but not kept

const form = document.getElementById("one");
const panel = document.getElementById("recent");
const list = panel.querySelector("ol");
const key = `lockstep recent ${panel.dataset.model}`;

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(key));
    return Array.isArray(found) ? found.filter((one) => typeof one?.id === "string") : [];
  } catch {
    return []; // damaged, or storage is switched off
  }
}

function save(records) {
  try {
    localStorage.setItem(key, JSON.stringify(records));
  } catch {
    // full or switched off: the list is a convenience
  }
}

/** Note the answer on the page. */
function note() {
  const shown = document.querySelector("[data-record]");
  if (!shown) return;
  const record = JSON.parse(shown.dataset.record);
  const noted = { ...record, at: Date.now(), about: about(), row: row() };
  save([noted, ...load().filter((one) => !same(one, noted))].slice(0, MOST));
}

/** Tell whether two answers are one: shown twice, or given twice to the same row by the same version. */
function same(one, other) {
  if (one.id === other.id) return true;
  return one.row !== null && one.version === other.version && JSON.stringify(one.row) === JSON.stringify(other.row);
}

function controls() {
  return [...form.querySelectorAll("#fields [id^=field-]:is(input, select, textarea)")];
}

function typed(control) {
  if (control.type !== "checkbox") return control.value;
  return control.checked ? control.value : control.previousElementSibling.value;
}

function row() {
  const values = Object.fromEntries(controls().map((control) => [control.name, typed(control)]));
  return JSON.stringify(values).length <= MOST_CHARACTERS ? values : null;
}

/** Say what sets a row apart: its text, else the values that differ from the example. */
function about() {
  const text = controls().find((control) => control.tagName === "TEXTAREA");
  if (text && controls().length === 1) return text.value.slice(0, 80);
  const changed = controls().filter((control) => "example" in control.dataset && typed(control) !== control.dataset.example);
  const few = changed.slice(0, 3).map((control) => `${control.name} ${typed(control).slice(0, 30)}`);
  if (changed.length > few.length) few.push(`${changed.length - few.length} more`);
  return few.join(", ") || "the example";
}

function show() {
  const records = load();
  panel.hidden = records.length === 0;
  list.replaceChildren(...records.map(entry));
}

function entry(record) {
  const button = element("button", "recent", "");
  button.type = "button";
  button.disabled = !record.row;
  const share = record.share === null ? "" : ` ${(100 * record.share).toFixed(1)}\u202f%`;
  const head = element("span", "recent-head", "");
  head.append(element("b", "", record.label), element("span", "recent-share", share));
  head.append(element("span", "recent-when", `${when(record.at)}, v${record.version}`));
  button.append(head, element("span", "recent-about", record.about));
  button.addEventListener("click", () => putBack(record.row));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function when(at) {
  const moment = new Date(at);
  const today = moment.toDateString() === new Date().toDateString();
  return today
    ? moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })
    : moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

function putBack(values) {
  for (const control of controls()) {
    const value = values[control.name];
    if (value === undefined) continue;
    if (control.type === "checkbox") control.checked = control.value === value;
    else control.value = value;
  }
  form.dispatchEvent(new Event("input"));
  controls()[0].focus();
}

document.getElementById("recent-clear").addEventListener("click", () => {
  save([]);
  show();
  form.querySelector("button[type=submit]").focus();
});

document.addEventListener("answered", () => {
  note();
  show();
});
note();
show();
