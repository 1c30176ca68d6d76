// What the form gains with JavaScript: it works without. Ctrl+Enter, answers without a reload, copying, counting.

const form = document.getElementById("one");
const SWAPPED = ["badge", "problems", "fields", "answer"];

document.documentElement.classList.add("js");

/** Send the form and put the answered page's parts in place; anything that is no such page is left to the browser. */
async function send() {
  const response = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "text/html" },
  });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!page.getElementById("one")) return form.submit();
  swap(page);
}

function swap(page) {
  const focused = document.activeElement?.id;
  for (const control of page.querySelectorAll("[data-left-out]")) control.value = document.getElementById(control.id).value;
  for (const id of SWAPPED) {
    const [now, next] = [document.getElementById(id), page.getElementById(id)];
    now.className = next.className;
    now.replaceChildren(...next.childNodes);
  }
  document.title = page.title;
  const problems = document.querySelector("#problems .card");
  if (problems) problems.focus();
  else if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const shown = problems ?? document.querySelector("#answer .card");
  const { top } = shown.getBoundingClientRect();
  if (top < 0 || top > innerHeight - 80) shown.scrollIntoView({ block: "start", behavior: motion() });
  count();
  document.dispatchEvent(new Event("answered"));
}

function motion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  try {
    await send();
  } catch {
    form.submit(); // no connection: the browser says so better than we can
  } finally {
    form.removeAttribute("aria-busy");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  (event.target.closest("form") ?? form).requestSubmit();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const copied = await copy(document.getElementById(button.dataset.copy));
  const before = button.textContent;
  button.textContent = copied ? "Copied" : "Select it below";
  setTimeout(() => (button.textContent = before), 1500);
});

/** Copy an element's text; where the clipboard is closed, as over plain HTTP, select it and ask the old way. */
async function copy(element) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(element.textContent).then(() => true, () => false);
  }
  element.closest("details").open = true;
  getSelection().selectAllChildren(element);
  return document.execCommand("copy");
}

/** Say under each text how long it is. */
function count() {
  for (const place of document.querySelectorAll("[data-counts]")) {
    const text = document.getElementById(place.dataset.counts).value;
    const words = text.match(/\S+/g)?.length ?? 0;
    place.textContent = `${words.toLocaleString("en")} words, ${text.length.toLocaleString("en")} characters`;
  }
}

form.addEventListener("input", (event) => event.target.tagName === "TEXTAREA" && count());
count();
