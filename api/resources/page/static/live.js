// Asks the API every second and draws its answers; can be paused, and says when figures stand still.

import { AlertList } from "./alerts.js";
import { MinuteChart, TYPES, element } from "./chart.js";
import { describeHeldBack, drawExperiments } from "./experiments.js";
import { KeyForm, Locked, authorization, checkAdmission } from "./key_form.js";
import * as format from "./format.js";
import { Minutely } from "./minutely.js";
import { Recommended } from "./recommended.js";

const POLL_MS = 1_000;
const SLOWEST_POLL_MS = 5_000;
const TIMEOUT_MS = 4_000;
const STALE_MS = 4_000;

const at = (id) => document.getElementById(id);
const alerts = new AlertList(at("alerts"), at("alerts-note"), at("severity"));
const chart = new MinuteChart(at("chart"));
const recommended = new Recommended(at("recommended-card"));
const slow = [
  new Minutely("/v1/experiments", (answer) => drawExperiments(answer, at("experiments-card"), at("experiments-hint"), at("experiments"))),
  new Minutely("/v1/models", (answer) => {
    put("alerts-held", describeHeldBack(answer));
    at("alerts-held").hidden = !at("alerts-held").textContent;
  }),
];
const keyForm = new KeyForm(at("key-form"), at("leave"), at("main"), () => {
  locked = false;
  clearTimeout(timer);
  timer = null;
  schedule(0);
});
let paused = false;
let locked = false;
let updatedAt = null;
let failures = 0;
let refusal = ""; // what the API itself said is wrong; empty where it gave no answer
let timer = null;
let asking = false;

class Refused extends Error {}

async function ask(path) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(path, { cache: "no-store", credentials: "omit", headers: authorization(), signal });
  await checkAdmission(answer);
  if (!answer.ok) throw new Refused(await describeProblem(answer));
  return answer.json();
}

// The API answers: it says what is wrong behind it.
async function describeProblem(answer) {
  const { code = "", detail = "" } = await answer.json().catch(() => ({}));
  if (code.startsWith("redis.")) return `The API is running, but Redis is not available: ${detail}.`;
  return `The API answered with status ${answer.status}${detail && `: ${detail}`}.`;
}

async function poll() {
  timer = null;
  asking = true;
  try {
    const [live, trending] = await Promise.all([ask("/v1/live"), ask("/v1/trending?limit=10")]);
    keyForm.open();
    locked = false;
    if (!paused) drawAnswers(live, trending);
    if (!paused && !document.hidden) {
      alerts.start();
      for (const figures of slow) figures.refresh();
      recommended.refresh();
    }
    failures = 0;
  } catch (error) {
    locked = error instanceof Locked;
    if (locked) alerts.stop();
    if (locked) keyForm.shut(error.message);
    else failures += 1;
    refusal = error instanceof Refused ? error.message : "";
  }
  asking = false;
  drawFreshness();
  schedule(Math.min(POLL_MS * 2 ** Math.min(failures, 8), SLOWEST_POLL_MS));
}

function drawAnswers(live, trending) {
  draw(live);
  drawTrending(trending);
  updatedAt = Date.now();
}

function schedule(delayMs) {
  if (timer === null && !asking && !paused && !locked && !document.hidden) timer = setTimeout(poll, delayMs);
}

function draw(live) {
  at("main").setAttribute("aria-busy", "false");
  const replay = live.mode === "replay";
  at("mode").hidden = false;
  at("mode").className = `badge ${live.mode}`;
  at("mode").textContent = replay ? `Replay, as of ${format.moment(live.as_of, live.timezone)}` : "Live";
  at("forgets").hidden = live.durable;
  drawHistory(live);
  drawNumbers(live);
  chart.update(live.per_minute, live.timezone);
  drawTable(live);
  drawFunnel(live.funnel_today);
  at("since").textContent = `since ${format.clock(live.today.from, live.timezone)}, ${live.timezone}`;
  drawStream(live);
  at("trouble").dataset.workers = live.workers.length;
}

function drawHistory({ backlog, timezone }) {
  const until = backlog?.history_to;
  at("history").hidden = !until;
  if (!until) return;
  const n = backlog.waiting;
  const waiting = n === 1 ? "1 event waits" : `${format.count(n)} events wait`;
  const moment = format.clock(until, timezone, { dateStyle: "medium", timeStyle: "medium" });
  put("history", `History is being replayed and has come to ${moment}; ${waiting}. What is sent now is counted when it is done.`);
}

function drawNumbers(live) {
  const { today, yesterday_at_this_time: yesterday, funnel_today: funnel } = live;
  put("active", format.count(live.active_visitors));
  put("speed", format.perSecond(live.events_per_s));
  put("speed-sub", `${format.count(live.totals.applied)} in total`);
  put("orders", format.count(today.orders));
  putChange("orders-sub", today.orders, yesterday.orders, "none by this time yesterday");
  const [main, ...others] = [...today.revenue].sort((a, b) => Number(b.amount) - Number(a.amount));
  put("revenue", main ? format.money(main) : "0");
  const before = main && yesterday.revenue.find(({ currency }) => currency === main.currency);
  if (others.length) put("revenue-sub", others.map((other) => `+ ${format.money(other)}`).join(" "));
  else putChange("revenue-sub", main?.amount_minor ?? 0, before?.amount_minor, "none by this time yesterday");
  put("carts", format.count(funnel.carted));
  put("carts-sub", `${format.count(live.carts_abandoned_today)} abandoned`);
  put("delay", live.delay ? format.milliseconds(live.delay.p50_ms) : "–");
  put("delay-sub", live.delay ? `99% within ${format.milliseconds(live.delay.p99_ms)}` : "no worker running");
}

function put(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
  if (node.classList.contains("value")) node.classList.toggle("long", text.length > 8);
}

function putChange(id, today, yesterday, none) {
  const { text, direction } = format.change(today, yesterday);
  if (!text) return put(id, none);
  const part = element("span", { class: direction });
  part.textContent = text;
  at(id).replaceChildren(part, direction ? " vs this time yesterday" : "");
}

function drawTable({ per_minute: minutes, timezone }) {
  if (!at("minute-rows").closest("details").open) return;
  const rows = [...minutes].reverse().map((minute) => {
    const row = element("tr", {});
    const cells = [format.clock(minute.start, timezone)];
    for (const [type] of TYPES) cells.push(format.count(minute[type]));
    row.append(...cells.map((text, i) => cell(i ? "td" : "th", text)));
    return row;
  });
  at("minute-rows").replaceChildren(...rows);
}

function cell(kind, text, fields = {}) {
  const node = element(kind, fields);
  node.textContent = text;
  return node;
}

function track(part) {
  const outer = element("div", { class: "track" });
  const fill = element("div", { class: "fill" });
  fill.style.width = `${100 * Math.min(1, part)}%`;
  if (part > 0) outer.append(fill);
  return outer;
}

function drawFunnel({ sessions, viewed, carted, bought }) {
  const steps = [["Started", sessions], ["Viewed a product", viewed], ["Added to cart", carted], ["Bought", bought]];
  const rows = steps.map(([name, n], i) => {
    const row = element("li", {});
    const number = cell("span", format.count(n), { class: "count" });
    number.append(" ", cell("span", i ? format.share(n, sessions) : "", { class: "share" }));
    row.append(cell("span", name), number, track(sessions ? n / sessions : 0));
    return row;
  });
  at("funnel").replaceChildren(...rows);
}

function drawTrending({ products, half_life_s: halfLife }) {
  at("half-life").textContent = `half-life ${format.count(halfLife / 60)} min`;
  at("trending-empty").hidden = products.length > 0;
  const most = products[0]?.score ?? 1;
  const rows = products.map(({ rank, product_id: id, score }) => {
    const row = element("li", {});
    const name = cell("span", id, { class: "name", title: id });
    row.append(cell("span", rank, { class: "rank" }), name, track(score / most));
    row.append(cell("span", format.score(score), { class: "score" }));
    return row;
  });
  at("trending").replaceChildren(...rows);
}

function drawStream({ workers, totals }) {
  const n = workers.length;
  at("workers").textContent = n === 1 ? "1 worker" : `${n} workers`;
  const memory = workers.reduce((sum, worker) => sum + worker.rss_bytes, 0);
  const partitions = new Set(workers.flatMap((worker) => worker.partitions)).size;
  const facts = [
    ["Events applied", totals.applied, false],
    ["Duplicates dropped", totals.duplicates, false],
    ["Too late to count", totals.late, false],
    ["Rejected", totals.rejected, false],
    ["From deleted visitors, dropped", totals.forgotten, false],
    ["Lost (expired in Kafka)", totals.lost, totals.lost > 0],
    ["Partitions with a worker", partitions, !partitions],
  ];
  const nodes = facts.flatMap(([name, value, bad]) => [
    cell("dt", name),
    cell("dd", format.count(value), bad ? { class: "bad" } : {}),
  ]);
  nodes.push(cell("dt", "Memory of the workers"), cell("dd", `${format.count(memory / 1e6)} MB`));
  at("facts").replaceChildren(...nodes);
}

function drawFreshness() {
  if (!paused) alerts.age(Date.now());
  const ageMs = updatedAt === null ? null : Date.now() - updatedAt;
  const ageS = Math.round((ageMs ?? 0) / 1000);
  const stale = !paused && failures > 0 && (ageMs === null || ageMs > STALE_MS);
  at("main").classList.toggle("stale", stale && updatedAt !== null);
  let text = locked ? "Locked" : updatedAt === null ? "Connecting…" : ageS < 1 ? "Updated just now" : `Updated ${ageS} s ago`;
  if (paused) text = `Paused, ${ageS} s behind`;
  if (at("updated").textContent !== text) at("updated").textContent = text;
  at("pause").hidden = locked;
  const trouble = at("trouble");
  let problem = "";
  if (stale) problem = `${refusal || "The API does not answer."} The figures below are not being updated.`;
  else if (trouble.dataset.workers === "0") problem = "No worker is running, so new events are not counted yet.";
  if (trouble.textContent !== problem) trouble.textContent = problem;
  trouble.hidden = !problem;
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  at("pause").textContent = paused ? "Resume" : "Pause";
  clearTimeout(timer);
  timer = null;
  if (paused) alerts.stop();
  drawFreshness();
  schedule(0);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) alerts.stop(); // an open stream is one of the few connections that tabs share
  schedule(0);
});
setInterval(drawFreshness, POLL_MS);
poll();
