// What the page does by itself where script runs; everything works without.
"use strict";

const form = document.querySelector("form.search");
const box = document.getElementById("q");
const fresh = document.getElementById("fresh");

// A chosen filter takes effect at once. A half-typed date is no date yet.
if (form) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select") || (event.target.matches("input[type=date]") && event.target.validity.valid)) {
      form.requestSubmit();
    }
  });
  // Empty fields only make addresses long.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) {
      if (value === "") event.formData.delete(name);
    }
  });
}

// Who speaks is asked once in a browser.
const speaker = document.querySelector("form.say input[name=by]");
if (speaker) {
  speaker.value = localStorage.getItem("by") ?? "";
  speaker.form.addEventListener("submit", () => localStorage.setItem("by", speaker.value));
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && box && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// Says how many mentions came since the page was made, and moves nothing under the reader's eyes.
async function lookForNews() {
  if (document.hidden) return;
  try {
    const response = await fetch("/api/status");
    if (!response.ok) return;
    const { documents } = await response.json();
    const more = documents - Number(fresh.dataset.documents);
    if (more <= 0) return;
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = `${more.toLocaleString("en")} new ${more === 1 ? "mention" : "mentions"}: show`;
    fresh.replaceChildren(link);
    fresh.hidden = false;
  } catch {
    // The server is away; the next look may find it.
  }
}

if (fresh) setInterval(lookForNews, 5000);
