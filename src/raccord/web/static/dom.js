// Small helpers: elements, words in the reader's language, colours of owners. Text is never taken for markup.

let words = {};

export function setWords(found) {
  words = found;
}

export function word(name, values = {}) {
  return (words[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((one) => one != null));
  return made;
}

export function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function fill(place, ...children) {
  const found = document.getElementById(place);
  // What its reader unfolded stays unfolded.
  const open = new Set([...found.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  found.replaceChildren(...children);
  for (const one of found.querySelectorAll("details")) one.open = open.has(one.dataset.key);
}

const FIRST = matchMedia("(max-width: 40rem)").matches ? 8 : 20;
const whole = new Set();

export function list(place, heads, ones, row) {
  // A hundred worktrees have thousands of files: the first ones, until their reader asks for all.
  const shown = whole.has(place) ? ones : ones.slice(0, FIRST);
  const parts = [table(heads.map((one) => word(one)), shown.map(row))];
  const all = () => {
    whole.add(place);
    list(place, heads, ones, row);
  };
  if (shown.length < ones.length) {
    parts.push(make("button", { type: "button", class: "quiet", onclick: all }, word("all", { number: ones.length })));
  }
  fill(place, ...(ones.length ? parts : [empty()]));
}

export function empty() {
  return make("p", { class: "empty" }, word("quiet"));
}

const colours = new Map();
const palette = ["#6366f1", "#0d9488", "#d97706", "#db2777", "#2563eb", "#65a30d", "#9333ea", "#dc2626"];

export function colour(owner) {
  if (owner === "unknown") return "#8b90a5";
  if (!colours.has(owner)) colours.set(owner, palette[colours.size % palette.length]);
  return colours.get(owner);
}

export function owner(name) {
  const dot = make("span", { class: "dot", "aria-hidden": "true" });
  dot.style.background = colour(name);
  return make("span", { class: "owner" }, dot, name === "unknown" ? word("unknown") : name);
}

export function ago(time, language) {
  const seconds = (time - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= length) return format.format(Math.round(seconds / length), unit);
  }
  return format.format(Math.round(seconds), "second");
}

export function base(path) {
  return path.split("/").filter(Boolean).pop() ?? path;
}

export function table(heads, rows, kind = "wide") {
  return make(
    "div",
    { class: "scroll" },
    make(
      "table",
      { class: kind },
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...rows),
    ),
  );
}
