// The other machines of the project: who they are, what they ran, and how this one stands to the hub.

import { ago, fill, make, table, word } from "/assets/dom.js";

function row(one, language) {
  const at = Date.parse(one.last_seen);
  const name = make("span", { class: "row" }, one.name);
  if (one.own) name.append(make("span", { class: "pill" }, word("this_machine")));
  return make(
    "tr",
    {},
    make("td", {}, name),
    make("td", { class: "full" }, one.place),
    make("td", {}, make("time", { datetime: one.last_seen, title: new Date(at).toLocaleString(language) }, ago(at, language))),
    make("td", {}, one.release),
  );
}

function run(one, language) {
  return make(
    "tr",
    {},
    make("td", {}, ago(Date.parse(one.started), language)),
    make("td", {}, one.machine),
    make("td", {}, make("b", {}, one.verb)),
    make("td", {}, one.state),
    make("td", {}, one.by || "–"),
  );
}

// Shows the panel where a hub is configured; whether there are other machines.
export function machines(said, ran, language) {
  document.getElementById("machines_panel").hidden = !said.joined;
  if (!said.joined) return false;
  const pill = document.getElementById("hub");
  pill.textContent = word(said.connected ? "connected" : "not_connected");
  pill.className = `pill ${said.connected ? "good" : "warn"}`;
  pill.title = said.why;
  document.getElementById("unsent").textContent = said.waiting ? word("unsent", { number: said.waiting }) : "";
  const heads = ["machine", "place", "last_seen", "release"].map((one) => word(one));
  const parts = [table(heads, said.machines.map((one) => row(one, language)))];
  if (ran.runs.length) {
    const what = ["when", "machine", "run", "state", "who"].map((one) => word(one));
    parts.push(make("h3", {}, word("far_runs")), table(what, ran.runs.map((one) => run(one, language))));
  }
  fill("machines", ...parts);
  return said.machines.length > 1;
}
