// The configuration: four keys in a form, all of them in a table. What is typed stays until it is saved.

import { fill, list, make, word } from "/assets/dom.js";

const form = document.getElementById("settings");
let known = {};

function edited() {
  // Only what is another than it was: another key may have been set elsewhere meanwhile.
  const values = {};
  for (const field of form.querySelectorAll("[name]")) {
    const value = field.type === "number" ? Number(field.value) : field.value;
    if (value !== known[field.name]) values[field.name] = value;
  }
  return values;
}

function shown(one) {
  if (one.hidden) return make("i", {}, word("hidden"));
  return make("code", {}, one.value === null ? "" : JSON.stringify(one.value));
}

export function settings(said, languages) {
  const typed = known.language === undefined ? {} : edited();
  known = said;
  const choose = form.querySelector("[name=language]");
  choose.replaceChildren(...languages.map((one) => make("option", { value: one }, one)));
  for (const field of form.querySelectorAll("[name]")) field.value = typed[field.name] ?? said[field.name];
  const broken = document.getElementById("broken");
  broken.hidden = !said.error;
  broken.textContent = said.error ? word("broken", { why: said.error }) : "";
  const own = said.settings.toSorted((one, two) => (one.origin === "default") - (two.origin === "default"));
  list("keys", ["key", "value", "origin"], own, (one) =>
    make(
      "tr",
      {},
      make("td", { class: "path", title: one.doc }, one.key),
      make("td", { class: "full" }, shown(one)),
      make("td", {}, one.origin === "default" ? word("by_default") : one.where),
    ));
  const fixed = Object.entries(said.fixed).map(([name, value]) => `--${name} ${value}`);
  fill("fixed", word("fixed", { options: fixed.join(", ") }));
}

export function saving(ask, then) {
  const answer = document.getElementById("settings-said");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = edited();
    answer.className = "small";
    if (!Object.keys(values).length) {
      answer.textContent = word("same");
      return;
    }
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const said = await ask("/api/sync/config", {
        method: "PATCH",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(values),
      });
      known = { ...known, ...values };
      answer.textContent = word("saved", { run: said.run });
      await then();
    } catch (error) {
      answer.className = "small bad";
      answer.textContent = word("failed", { why: error.message });
    }
    button.disabled = false;
  });
}
