// Feedback on an answer without leaving the page; without JavaScript a page of its own says thank you.

const CONFIRMATIONS = {
  new: "Thank you: written down.",
  changed: "Thank you: this replaces what was said before.",
  unchanged: "This was known already.",
  waiting: "Thank you: written down, to be stored when the database is back.",
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const panel = form.closest(".feedback");
  if (!panel) return;
  event.preventDefault();
  const status = panel.querySelector(".thanks");
  status.textContent = "";
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const answer = await response.json();
    status.textContent = response.ok ? CONFIRMATIONS[answer.status] : refusal(answer);
  } catch {
    form.submit(); // no connection: the browser says so better than we can
  }
});

function refusal({ detail, errors }) {
  return errors ? `${detail} ${errors[0].problem}.` : detail;
}
