// Two charts as SVG: changes by hour and owner, and how long reports took. As wide as their place is.

import { colour, draw, empty, make, owner, word } from "/assets/dom.js";

const HEIGHT = 190;
const LEFT = 48;
const BOTTOM = 22;
const HIGH = HEIGHT - BOTTOM - 12;
const LABEL = 70; // pixels that the time below a bar takes

function top(most) {
  // The next round number whose half is round too.
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 10].find((part) => part * unit >= most) * unit;
}

function frame(place, title, most, unit) {
  const width = Math.max(240, document.getElementById(place).clientWidth);
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  chart.append(draw("title", {}, title));
  for (const part of [0, 0.5, 1]) {
    const y = HEIGHT - BOTTOM - part * HIGH;
    chart.append(draw("line", { class: "axis", x1: LEFT, x2: width, y1: y, y2: y }));
    chart.append(draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, `${most * part}${unit}`));
  }
  return [chart, width];
}

export function activity(rows, language) {
  if (!rows.length) return [empty()];
  const hours = [];
  const now = new Date();
  for (let back = 23; back >= 0; back -= 1) {
    const hour = new Date(now.getTime() - back * 3600e3);
    hour.setMinutes(0, 0, 0);
    hours.push(hour.getTime());
  }
  const owners = [...new Set(rows.map((row) => row.agent_owner))].sort();
  const found = new Map(rows.map((row) => [`${row.hour * 1000} ${row.agent_owner}`, row.count]));
  const totals = hours.map((hour) => owners.reduce((sum, name) => sum + (found.get(`${hour} ${name}`) ?? 0), 0));
  const most = top(Math.max(2, ...totals));
  const [chart, width] = frame("activity", word("activity"), most, "");
  const step = (width - LEFT) / hours.length;
  const each = Math.ceil(LABEL / step);
  hours.forEach((hour, at) => {
    let y = HEIGHT - BOTTOM;
    for (const name of owners) {
      const count = found.get(`${hour} ${name}`) ?? 0;
      if (!count) continue;
      const height = (count / most) * HIGH;
      y -= height;
      const bar = draw("rect", { x: LEFT + at * step + 1, y, width: step - 2, height, rx: 2, fill: colour(name) });
      bar.append(draw("title", {}, `${name}: ${count}`));
      chart.append(bar);
    }
    if ((hours.length - 1 - at) % each === 0 && (at + 1) * step > LABEL / 2) {
      const text = new Date(hour).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
      chart.append(draw("text", { x: LEFT + (at + 1) * step, y: HEIGHT - 6, "text-anchor": "end" }, text));
    }
  });
  return [chart, make("div", { class: "legend" }, ...owners.map(owner))];
}

export function durations(reports) {
  if (!reports.length) return [empty()];
  const shown = reports.slice(0, 30).reverse();
  const most = top(Math.max(1, ...shown.map((one) => one.duration_seconds * 1000)));
  const [chart, width] = frame("durations", word("durations"), most, " ms");
  const step = (width - LEFT) / Math.max(8, shown.length);
  shown.forEach((one, at) => {
    const height = Math.max(2, ((one.duration_seconds * 1000) / most) * HIGH);
    const bar = draw("rect", {
      x: LEFT + at * step + 2, y: HEIGHT - BOTTOM - height, width: Math.min(step - 4, 40), height, rx: 2,
      fill: "var(--accent)",
    });
    bar.append(draw("title", {}, `${one.trigger.timestamp}: ${(one.duration_seconds * 1000).toFixed(1)} ms`));
    chart.append(bar);
  });
  return [chart];
}
