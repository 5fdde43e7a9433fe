// What alerts and recommendations bring, against the visitors who are held out. Alerts are hidden while nobody is held
// out, recommendations while none was given.

import { WORDS } from "./alerts.js";
import { element } from "./chart.js";
import * as format from "./format.js";

const HELD_OUT = "held_out";

export function drawExperiments({ hold_out: share, days, watch_s: watchS, currency, alerts, recommendations }, card, hint, list) {
  const rows = [
    ...Object.entries(alerts).filter(([, { held_out: held }]) => share || held.n).map(([kind, figures]) => ofAlerts(kind, figures)),
    ...Object.entries(recommendations).flatMap(([scenario, { arms }]) => ofScenario(scenario, arms)),
  ];
  card.hidden = rows.length === 0;
  hint.textContent = `purchases within ${format.count(watchS / 3600)} h, last ${format.count(days)} days`;
  const ends = rows.flatMap(({ bought }) => (bought ? [Math.abs(bought.low), Math.abs(bought.high)] : []));
  const widest = Math.max(0.01, ...ends);
  list.replaceChildren(...rows.map((row) => drawRow(row, widest, currency)));
}

// Which alerts of the last hour were wanted and not sent, because the model has not proved itself in this shop.
export function describeHeldBack({ together }) {
  const kinds = Object.entries(together["1h"].alerts).filter(([, { withheld }]) => withheld.unproven);
  return kinds.map(([kind, { withheld }]) => {
    const name = WORDS[kind] ?? kind.replaceAll("_", " ");
    return `“${name}” is silent until predictions beat this shop's base rates; held back in the last hour: ${format.count(withheld.unproven)}.`;
  }).join(" ");
}

function ofAlerts(kind, { told, held_out: held, ...figures }) {
  const groups = `${describe("Told", told)}; ${describe("held out", held)}.`;
  return { title: WORDS[kind] ?? kind.replaceAll("_", " "), groups, each: "alert", ...figures };
}

// A row for each arm but the one that the others are compared with.
function ofScenario(scenario, arms) {
  const held = arms[HELD_OUT]?.visitors;
  return Object.entries(arms).filter(([arm]) => arm !== HELD_OUT).map(([arm, { exposures, clicks, visitors, ...figures }]) => {
    const title = `Recommendations “${scenario.replaceAll("_", " ")}”, arm ${arm}`;
    const shown = `${format.count(clicks)} products clicked in ${format.count(exposures)} answers.`;
    const others = held ? `; ${describe("held out", held)}` : "";
    return { title, groups: `${shown} ${describe("Visitors", visitors)}${others}.`, each: "visitor", ...figures };
  });
}

function drawRow({ title, groups, each, bought, revenue_minor: revenue, sample_ratio: ratio, missing }, widest, currency) {
  const row = element("li", {});
  const head = element("p", { class: "what" });
  head.append(text("b", title));
  if (bought) head.append(text("span", verdict(bought), { class: "verdict" }));
  row.append(head);
  if (bought) row.append(drawInterval(bought, widest));
  row.append(text("p", bought ? `${groups} ${moneyOf(revenue, each, currency)}` : `${groups} ${sentence(missing.bought)}`, { class: "why" }));
  if (ratio && !ratio.is_plausible) row.append(text("p", "The groups are not as large as the hold-out share says: do not trust this comparison.", { class: "why bad" }));
  return row;
}

function verdict({ value, low, high }) {
  const points = `${format.signed(100 * value)} points (${format.signed(100 * low)} to ${format.signed(100 * high)})`;
  if (low > 0) return `more buy: ${points}`;
  return high < 0 ? `fewer buy: ${points}` : `no difference shown: ${points}`;
}

// The interval on a line whose middle is no difference.
function drawInterval({ value, low, high }, widest) {
  const line = element("div", { class: "interval", "aria-hidden": "true" });
  const at = (share) => 50 + (48 * share) / widest;
  const span = element("div", { class: `span ${low > 0 ? "gain" : high < 0 ? "loss" : ""}` });
  Object.assign(span.style, { left: `${at(low)}%`, width: `${at(high) - at(low)}%` });
  const dot = element("div", { class: "dot" });
  dot.style.left = `${at(value)}%`;
  line.append(span, dot);
  return line;
}

function describe(name, { n, bought }) {
  return `${name}: ${format.share(bought, n)} of ${format.count(n)} bought`;
}

function moneyOf(revenue, each, currency) {
  if (!revenue) return "";
  const [value, low, high] = [revenue.value, revenue.low, revenue.high].map((minor) => format.minor(minor, currency));
  return `Revenue per ${each} ${value} (${low} to ${high}).`;
}

function sentence(words) {
  return words ? `${words[0].toUpperCase()}${words.slice(1)}.` : "";
}

function text(kind, words, fields = {}) {
  const node = element(kind, fields);
  node.textContent = words;
  return node;
}
