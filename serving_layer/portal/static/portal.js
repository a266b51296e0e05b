/* Light script: every page is whole without it. It draws charts from tables, shows instants in the viewer's zone, and
   keeps live totals moving. */
"use strict";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const whole = new Intl.NumberFormat();
/* Seconds as a clock shows them: m:ss, or h:mm:ss. */
const clock = (seconds) => {
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${whole.format(hours)}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};

/* Steps of an axis of seconds: whole minutes and hours. */
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, ...[1, 10, 100, 1000, 10000, 100000].flatMap((hours) => [hours, 2 * hours, 5 * hours]).map((hours) => hours * 3600)];

/* <time datetime="…Z">: the viewer's own zone in sight, UTC kept beside it. */
function localise(element) {
  const instant = new Date(element.dateTime);
  if (Number.isNaN(instant.getTime())) return;
  const zoned = new Intl.DateTimeFormat(undefined, {
    dateStyle: "medium", timeStyle: element.dataset.seconds === undefined ? "short" : "medium",
  });
  const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" })
    .formatToParts(instant).find((part) => part.type === "timeZoneName").value;
  const utc = element.textContent.trim();
  element.title = utc;
  element.textContent = `${zoned.format(instant)} ${zone}`;
  if (zone !== "UTC") {
    const beside = document.createElement("span");
    beside.className = "quiet small nowrap";
    beside.textContent = `(${utc})`;
    element.after(" ", beside);
  }
}

/* A table with data-chart is drawn above itself: first column days, each further column with data-series a line.
   What is provisional is dashed and in its own colour. */
function draw(table) {
  const heads = [...table.tHead.rows[0].cells];
  const series = heads.map((cell, index) => ({ cell, index })).filter(({ cell }) => cell.dataset.series);
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 2 || series.length === 0 || typeof uPlot === "undefined") return;
  const value = (row, index) => {
    const text = row.cells[index].dataset.value;
    return text === undefined || text === "" ? null : Number(text);
  };
  const written = heads.some((cell) => cell.dataset.unit === "seconds") ? clock : whole.format;
  const shown = (number) => (number === null || number === undefined ? "none" : written(number));
  const days = rows.map((row) => Date.parse(row.cells[0].dataset.value) / 1000);
  const order = days.map((_, index) => index).sort((a, b) => days[a] - days[b]);
  const data = [order.map((at) => days[at]), ...series.map(({ index }) => order.map((at) => value(rows[at], index)))];
  const box = document.createElement("div");
  box.className = "chart";
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `Chart: ${table.caption ? table.caption.textContent.trim() : ""} The table below has the same numbers.`);
  table.closest(".scroll").before(box);
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
  const make = () => new uPlot({
    width: Math.max(260, box.clientWidth), height: 240,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: { y: { range: (_, __, top) => [0, Math.max(1, top * 1.08)] } },
    axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toISOString().slice(5, 10)), space: 56, incrs: [1, 2, 7, 14, 28, 56, 112, 182, 364].map((number) => number * 86400) }, { ...axis, size: written === clock ? 88 : 64, values: (_, ticks) => ticks.map((tick) => written(tick)), ...(written === clock ? { incrs: STEPS } : {}) }],
    series: [
      { label: "Day", value: (_, seconds) => new Date((seconds ?? data[0].at(-1)) * 1000).toISOString().slice(0, 10) },
      ...series.map(({ cell }, place) => ({
        /* a line that lies on another one is thinner, so that both are seen */
        label: cell.textContent.trim(), stroke: css(`--${cell.dataset.series}`), width: place === 0 ? 5 : 2,
        dash: cell.dataset.series === "provisional" ? [6, 4] : undefined,
        points: { show: rows.length < 40, size: 5 },
        /* without a pointer the legend shows the newest day */
        value: (_, number, line, at) => shown(at === null || at === undefined ? data[line].at(-1) : number),
      })),
    ],
  }, data, box);
  let chart = make();
  const again = () => { chart.destroy(); chart = make(); };
  new ResizeObserver(() => chart.setSize({ width: Math.max(260, box.clientWidth), height: 240 })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

/* data-live="URL" on a container: the server's events carry JSON, written into [data-field] below it.
   Only while the page is looked at: a browser has few connections for all its tabs together. */
function follow(container) {
  let source = null;
  const show = (event) => {
    const count = JSON.parse(event.data);
    for (const field of container.querySelectorAll("[data-field]")) {
      const found = count[field.dataset.field];
      if (typeof found === "number") field.textContent = whole.format(found);
    }
    for (const mark of container.querySelectorAll("[data-incomplete]")) mark.hidden = count.complete !== false;
  };
  const listen = () => {
    if (source !== null) source.close();
    source = document.visibilityState === "visible" ? new EventSource(container.dataset.live) : null;
    if (source !== null) source.addEventListener("count", show);
  };
  listen();
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => source?.close());
}

for (const table of document.querySelectorAll("table[data-chart]")) draw(table);
for (const element of document.querySelectorAll("time[datetime]")) localise(element);
for (const container of document.querySelectorAll("[data-live]")) follow(container);
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
