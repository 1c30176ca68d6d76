// Sends what stands in a form of the page, and shows the answer with its status and time.

const LONGEST = 50000;

document.documentElement.classList.add("js");

/** Return the address of an operation, its open parts filled in. */
function address(form) {
  return root() + form.dataset.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(form.elements[name].value));
}

/** Return the URL prefix of the API, nothing where there is none. */
function root() {
  return document.querySelector("main [data-root]")?.dataset.root ?? "";
}

/** Return a request's options; a key is sent as a bearer. */
function options(form) {
  const headers = { Accept: "application/json, */*;q=0.5" };
  const key = document.getElementById("key")?.value;
  if (key) headers.Authorization = `Bearer ${key}`;
  const body = form.elements.body?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { method: form.dataset.method, headers, body };
}

/** Return a text as it reads best. */
function readable(text) {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n…` : text;
  try {
    return text.length > LONGEST ? short : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return short;
  }
}

/** Send the request and show the reply. */
async function send(form) {
  const [status, reply, button] = [".status", ".reply", "button"].map((part) => form.querySelector(part));
  const began = performance.now();
  button.disabled = true;
  status.className = "status";
  status.textContent = "…";
  try {
    const response = await fetch(address(form), options(form));
    const text = await response.text();
    status.textContent = `${response.status} ${response.statusText} in ${(performance.now() - began).toFixed(1)} ms`;
    status.classList.toggle("bad", !response.ok);
    reply.textContent = readable(text);
    reply.hidden = false;
  } catch (error) {
    status.textContent = `No answer: ${error.message}`;
    status.classList.add("bad");
  } finally {
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form.trying")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

for (const line of document.querySelectorAll("pre")) {
  line.textContent = line.textContent.replace("$URL", location.origin + root());
}

document.getElementById("own-key")?.addEventListener("submit", (event) => event.preventDefault());

/** Open the operation that the address names. */
function unfold() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
}

addEventListener("hashchange", unfold);
unfold();
