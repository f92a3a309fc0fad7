// The page: reads the routes, listens to the stream, and falls back to asking every 10 seconds.

import { ago, base, empty, fill, list, make, owner, setWords, word } from "/assets/dom.js";
import { activity, durations } from "/assets/charts.js";
import { machines } from "/assets/machines.js";
import { saving, settings } from "/assets/settings.js";

const REFRESH = 10_000;
const root = document.documentElement;
const dev = root.dataset.dev === "true";
const headers = dev ? { "x-dev-bypass": "1" } : {};
let languages = [];
let language = localStorage.getItem("language") ?? root.lang;
let live = false;
let seen = 0;
let several = false;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  if (answer.status === 401) throw new Error(word("denied"));
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail ?? answer.statusText);
  return said;
}

async function speak() {
  const said = await ask(`/api/words?language=${encodeURIComponent(language)}`);
  setWords(said.words);
  languages = said.languages;
  root.lang = language;
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = word(place.dataset.word);
  document.getElementById("search").setAttribute("aria-label", word("search"));
  document.getElementById("search").placeholder = word("search");
  fill("language", ...said.languages.map((one) => make("option", { value: one, selected: one === language }, one)));
  document.getElementById("open").hidden = !dev;
}

function pill(place, text, kind, title = "") {
  const found = document.getElementById(place);
  found.textContent = text;
  found.className = `pill ${kind}`;
  found.title = title;
}

function status(said) {
  const trouble = Object.values(said.errors);
  if (trouble.length) pill("service", word("trouble"), "bad", trouble.join("\n"));
  else if (!said.watching) pill("service", word("starting"), "warn");
  else if (said.watching.mode === "polling") pill("service", word("polling"), "warn", said.watching.why);
  else pill("service", word("running"), "good");
  document.getElementById("count").textContent = said.pending_changes;
  document.getElementById("threshold").textContent = word("threshold", { most: said.consolidation_threshold });
  const part = Math.min(1, said.pending_changes / Math.max(1, said.consolidation_threshold));
  document.getElementById("bar").style.width = `${part * 100}%`;
  const last = said.last_consolidation && Date.parse(said.last_consolidation);
  document.getElementById("last").textContent = last ? ago(last, language) : word("never");
  document.getElementById("lasttime").textContent = last ? new Date(last).toLocaleString(language) : "";
  document.getElementById("tracked").textContent = said.checksums_tracked;
}

function time(said) {
  const at = Date.parse(said);
  return make("time", { datetime: said, title: new Date(at).toLocaleString(language) }, ago(at, language));
}

async function difference(place, id) {
  const said = await ask(`/api/sync/changes/${id}/diff`);
  if (!said.lines.length) return place.replaceChildren(make("p", { class: "empty" }, word("no_difference")));
  const kinds = { "+": "plus", "-": "minus", "@": "at" };
  const lines = said.lines.map((line) => make("span", { class: kinds[line[0]] ?? "" }, `${line}\n`));
  return place.replaceChildren(make("pre", { tabindex: "0" }, ...lines));
}

function unfolded(key, summary, load) {
  const place = make("div");
  const opened = (event) => event.target.open && load(place).catch((error) => place.replaceChildren(error.message));
  return make("details", { "data-key": key, ontoggle: opened }, make("summary", {}, summary), place);
}

function pending(said) {
  if (!said.changes.length) return fill("pending", make("p", { class: "empty" }, word("nothing")));
  const since = seen;
  const row = (one) => {
    const name = one.renamed_from ? `${one.file_path} (${word("was", { path: one.renamed_from })})` : one.file_path;
    return make(
      "tr",
      { class: one.id > since && since ? "new" : "" },
      make("td", {}, time(one.timestamp)),
      make("td", {}, word(one.event_type)),
      make("td", { class: "path" }, unfolded(one.id, name, (place) => difference(place, one.id))),
      make("td", { title: one.worktree }, base(one.worktree)),
      several ? make("td", {}, one.machine ?? word("this_machine")) : null,
      make("td", { title: one.owner_by }, owner(one.agent_owner)),
    );
  };
  seen = said.changes.reduce((most, one) => Math.max(most, one.id), seen);
  list("pending", ["when", "what", "file", "where", ...(several ? ["machine"] : []), "who"], said.changes.toReversed(), row);
}

function worktrees(said, owners) {
  const row = (one) => {
    const dirty = one.staged + one.unstaged + one.untracked + one.unmerged;
    const apart = one.ahead || one.behind;
    return make(
      "tr",
      {},
      make("td", { class: "path", title: one.path }, one.name),
      make("td", {}, one.branch || "–"),
      make("td", {}, owners.has(one.path) ? owner(owners.get(one.path)) : "–"),
      make("td", {}, apart ? word("ahead", { ahead: one.ahead ?? "?", behind: one.behind ?? "?" }) : word("even")),
      make("td", {}, dirty ? word("dirty", { number: dirty }) : word("clean")),
    );
  };
  list("worktrees", ["where", "branch", "who", "base", "state"], said.worktrees, row);
}

function files(said) {
  const states = { 1: ["synced", "good"], 0: ["out_of_sync", "warn"], [-1]: ["error", "bad"] };
  const row = (one) => {
    const [name, kind] = states[one.status];
    return make(
      "tr",
      {},
      make("td", { class: "path" }, one.file_path),
      make("td", { title: one.worktree }, base(one.worktree)),
      make("td", {}, make("span", { class: `pill ${kind}`, title: one.error ?? "" }, word(name))),
      make("td", {}, time(one.last_modified)),
      make("td", { class: "sum full", title: one.checksum }, one.checksum.slice(0, 12)),
    );
  };
  const worst = said.checksums.toSorted((one, two) => one.status - two.status);
  list("files", ["file", "where", "state", "when", "checksum"], worst, row);
}

function history(said) {
  const ones = said.consolidations.map((one) => {
    const kind = word(`by_${one.trigger.trigger_type}`);
    const what = word("changes", { number: one.changes_consolidated, files: one.files });
    const line = make("span", { class: "row" }, time(one.trigger.timestamp), make("span", { class: "pill" }, kind), what);
    if (one.machine) line.append(make("span", { class: "pill" }, one.machine));
    if (!one.placed) line.append(make("span", { class: "pill warn" }, word("waits")));
    return make("details", { "data-key": one.id }, make("summary", {}, line), make("pre", { tabindex: "0" }, one.report));
  });
  fill("history", ...(ones.length ? ones : [empty()]));
}

function lanes(said, tell) {
  return make("ul", {}, ...said.map((lane) => {
    const line = make("li", {}, make("b", {}, lane.title), ` ${lane.state ?? ""}`, make("ul", {}, ...lane.steps.map(tell)));
    const why = lane.finding ?? lane.held;
    if (why) line.append(make("p", { class: "bad" }, why.message));
    return line;
  }));
}

async function undo(place, run) {
  const path = `/api/runs/${encodeURIComponent(run)}/undo`;
  const done = (text) => place.replaceChildren(text);
  const yes = async () => {
    try {
      const said = await ask(path, { method: "POST" });
      const why = said.lanes.find((lane) => lane.finding)?.finding.message;
      done(why ? word("failed", { why }) : word("undone"));
    } catch (error) {
      done(word("failed", { why: error.message }));
    }
  };
  try {
    const plan = await ask(path);
    const found = plan.stages.flatMap((stage) => stage.lanes);
    const steps = lanes(found, (step) => make("li", {}, step.title));
    if (!found.some((lane) => lane.steps.length)) return place.replaceChildren(word("undo_none"), steps);
    const go = make("button", { type: "button", class: "quiet", onclick: yes }, word("yes"));
    const no = make("button", { type: "button", class: "quiet", onclick: () => place.replaceChildren() }, word("no"));
    place.replaceChildren(word("undo_sure"), steps, make("div", { class: "row" }, go, no));
    return go.focus();
  } catch (error) {
    return done(word("failed", { why: error.message }));
  }
}

let told = "";
function runs(said) {
  const now = JSON.stringify([said, language]);
  if (now === told) {
    // What its reader looks at, or is asked, stays; only the times go on.
    for (const one of document.querySelectorAll("#runs time")) one.textContent = ago(Date.parse(one.dateTime), language);
    return;
  }
  told = now;
  const kinds = { done: "good", partial: "warn", stopped: "bad", interrupted: "bad", running: "warn" };
  const ones = said.runs.map((one) => {
    const line = make("span", { class: "row" }, make("b", {}, one.verb), make("code", {}, one.id));
    line.append(make("span", { class: `pill ${kinds[one.state] ?? ""}` }, one.state));
    line.append(time(new Date(one.started * 1000).toISOString()));
    return unfolded(one.id, line, async (place) => {
      const whole = await ask(`/api/runs/${encodeURIComponent(one.id)}`);
      const button = make("button", { type: "button", class: "quiet" }, word("undo"));
      const below = make("div", { "aria-live": "polite" });
      button.addEventListener("click", () => undo(below, one.id));
      const done = lanes(whole.lanes, (step) => make("li", {}, `${step.title}: ${step.state}`));
      const planned = unfolded(`${one.id} plan`, word("plan"), async (inner) => {
        const plan = await ask(`/api/runs/${encodeURIComponent(one.id)}/plan`);
        inner.replaceChildren(lanes(plan.stages.flatMap((stage) => stage.lanes), (step) => make("li", {}, step.title)));
      });
      const by = whole.by ? [make("p", { class: "small" }, word("by", { who: whole.by }))] : [];
      place.replaceChildren(...by, done, planned, make("div", { class: "row" }, button), below);
    });
  });
  fill("runs", ...(ones.length ? ones : [empty()]));
}

async function others() {
  const [known, ran] = await Promise.all([ask("/api/sync/machines"), ask("/api/sync/machines/runs?limit=5")]);
  several = machines(known, ran, language);
}

async function changes() {
  const paths = ["status", "pending-changes?everywhere=true"];
  const [state, waiting] = await Promise.all([...paths.map((one) => ask(`/api/sync/${one}`)), others()]);
  status(state);
  pending(waiting);
  const [sums, hours] = await Promise.all([ask("/api/sync/checksums"), ask("/api/sync/activity")]);
  files(sums);
  fill("activity", ...activity(hours.rows, language));
  return new Map(sums.checksums.filter((one) => one.agent_owner).map((one) => [one.worktree, one.agent_owner]));
}

async function reports() {
  const search = document.getElementById("search").value;
  const said = await ask(`/api/sync/history?limit=50&search=${encodeURIComponent(search)}`);
  history(said);
  if (!search) fill("durations", ...durations(said.consolidations.filter((one) => !one.machine)));
}

async function everything() {
  try {
    const owners = await changes();
    await reports();
    const trees = await ask("/api/worktrees");
    worktrees(trees, owners);
    if (trees.refreshing) setTimeout(soon, 1000);
    runs(await ask("/api/runs"));
    settings(await ask("/api/sync/config"), languages);
    pill("link", live ? word("live") : word("refreshed"), live ? "good" : "warn");
  } catch (error) {
    pill("link", error instanceof TypeError ? word("away") : error.message, "bad");
  }
}

let asking = false;
let again = false;
async function soon() {
  // Many changes at once are one look, and what comes during it another one.
  again = true;
  if (asking) return;
  asking = true;
  while (again) {
    await new Promise((resume) => setTimeout(resume, 60));
    again = false;
    await everything();
  }
  asking = false;
}

async function listen() {
  let last = "";
  for (;;) {
    try {
      const answer = await fetch("/api/events", { headers: { ...headers, ...(last && { "Last-Event-ID": last }) } });
      if (!answer.ok) throw new Error(answer.statusText);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      live = true;
      soon();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const found of value.matchAll(/^id: (\d+)$/gm)) last = found[1];
        if (/^event: (change|consolidation|configuration)$/m.test(value)) soon();
      }
    } catch {
      // told below: the page goes on by the clock
    }
    live = false;
    soon();
    await new Promise((resume) => setTimeout(resume, 2000));
  }
}

document.getElementById("consolidate").addEventListener("click", async (event) => {
  const said = document.getElementById("said");
  event.target.disabled = true;
  try {
    const done = await ask("/api/sync/consolidate", { method: "POST" });
    if (done.status !== "success") throw new Error(done.error);
    const number = done.changes_consolidated;
    said.textContent = number ? word("consolidated", { number }) : word("nothing");
  } catch (error) {
    said.textContent = word("failed", { why: error.message });
  }
  event.target.disabled = false;
  await everything();
});
document.getElementById("language").addEventListener("change", async (event) => {
  language = event.target.value;
  localStorage.setItem("language", language);
  await speak();
  await everything();
});
document.getElementById("search").addEventListener("input", () => reports().catch(() => {}));

saving(ask, everything);

await speak();
await everything();
setInterval(() => (live ? others().catch(() => {}) : everything()), REFRESH);
setInterval(() => live && everything(), 6 * REFRESH);
listen();
