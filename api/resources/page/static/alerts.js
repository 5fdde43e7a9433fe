// The newest alerts: those kept at the start, then what the stream of alerts brings.

import { element } from "./chart.js";
import { authorization } from "./key_form.js";
import * as format from "./format.js";

const SEVERITY_SLOT = "storepulse.severity";
const SHOWN = 10;
const LOOKED_AT = 200;
const RETRY_MS = 3_000;
export const WORDS = { churn_risk: "About to leave", cart_abandoned: "Abandoned a cart" };
const ENDS = { resolved: "bought after all", expired: "did not buy" };
const OTHER_ENDS = { resolved: "resolved", expired: "expired" }; // of what is not about a visitor's cart
const LATER = { acknowledged: "acknowledged", snoozed: "snoozed" };

export class AlertList {
  // `list` is filled; `note` says in words why it is empty; `severity` chooses which alerts are shown.
  constructor(list, note, severity) {
    [this.list, this.note, this.severity] = [list, note, severity];
    severity.value = sessionStorage.getItem(SEVERITY_SLOT) ?? "low";
    severity.addEventListener("change", () => {
      sessionStorage.setItem(SEVERITY_SLOT, severity.value);
      this.retry(0);
    });
    this.alerts = new Map();
    this.source = this.timer = null;
    this.wanted = false;
  }

  start() {
    if (this.wanted) return;
    this.wanted = true;
    this.connect();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  async connect() {
    let page, ticket;
    try {
      page = await ask(`/v1/alerts?newest=true&limit=${LOOKED_AT}&min_severity=${this.severity.value}`);
      if (page && authorization().Authorization) ({ ticket } = await ask("/v1/stream-tickets", "POST"));
    } catch {
      return this.retry();
    }
    if (!this.wanted || this.source) return;
    if (!page) return this.say("This key cannot read alerts: it lacks the scope alerts:read.");
    this.alerts.clear();
    for (const step of page.alerts) this.take(step);
    this.draw();
    const query = new URLSearchParams({ after: page.next, min_severity: this.severity.value, ...(ticket && { ticket }) });
    this.source = new EventSource(`/v1/alerts/stream?${query}`);
    this.source.addEventListener("alert", ({ data }) => {
      this.take(JSON.parse(data));
      this.draw();
    });
    this.source.addEventListener("error", () => this.retry()); // a ticket opens one stream, so begin anew
  }

  retry(afterMs = RETRY_MS) {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
    if (this.wanted) this.timer = setTimeout(() => this.connect(), afterMs);
  }

  take(step) {
    const known = this.alerts.get(step.alert_id);
    if (step.state === "firing") this.alerts.set(step.alert_id, step);
    else if (known) this.alerts.set(step.alert_id, { ...known, state: step.state, handling: step.handling });
    for (const id of this.alerts.keys()) {
      if (this.alerts.size <= SHOWN) break;
      this.alerts.delete(id);
    }
  }

  draw() {
    const none = this.severity.value === "low" ? "No alerts yet." : "No alerts of this severity yet.";
    this.say(this.alerts.size ? "" : none);
    const rows = new Map([...this.list.children].map((row) => [row.dataset.id, row]));
    for (const [id, row] of rows) if (!this.alerts.has(id)) row.remove();
    let older = null;
    for (const [id, alert] of this.alerts) {
      const row = drawAlert(alert, rows.get(id));
      const isInPlace = row.isConnected && row.nextElementSibling === older;
      if (!isInPlace) this.list.insertBefore(row, older); // what is in its place is not announced again
      older = row;
    }
  }

  age(nowMs) {
    for (const time of this.list.querySelectorAll("time")) {
      const text = format.age(nowMs - Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  say(words) {
    if (this.note.textContent !== words) this.note.textContent = words;
    this.note.hidden = !words;
  }
}

function drawAlert(alert, row = element("li", {})) {
  const told = LATER[alert.handling.state];
  const state = `${alert.state} ${told}`;
  if (row.dataset.state === state) return row;
  Object.assign(row.dataset, { id: alert.alert_id, state });
  row.className = `alert ${alert.severity} ${alert.state === "firing" ? "" : "over"}`;
  const about = alert.subject?.id ?? alert.user_id;
  const time = text("time", format.age(Date.now() - Date.parse(alert.at)), { datetime: alert.at, title: alert.at });
  const head = element("p", { class: "what" });
  head.append(text("span", alert.severity, { class: "severity" }), text("b", WORDS[alert.kind] ?? alert.kind.replaceAll("_", " ")), time);
  const who = element("p", { class: "who" });
  who.append(text("span", about, { class: "name", title: about }), text("span", describe(alert)));
  const outcome = (alert.subject ? OTHER_ENDS : ENDS)[alert.state] ?? told;
  if (outcome) who.append(text("span", outcome, { class: "outcome" }));
  row.replaceChildren(head, who, text("p", alert.reasons[0] ?? "", { class: "why" }));
  return row;
}

function describe(alert) {
  if (alert.cart_value) return format.money(alert.cart_value);
  if (!alert.subject) return `${format.count(alert.cart_lines)} in the cart`;
  const told = Object.entries(alert.detail).filter(([, value]) => value !== null && typeof value !== "object");
  return told.map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
}

function text(kind, words, fields = {}) {
  const node = element(kind, fields);
  node.textContent = words;
  return node;
}

async function ask(path, method = "GET") {
  const fields = { cache: "no-store", credentials: "omit", headers: authorization(), signal: AbortSignal.timeout(RETRY_MS) };
  const answer = await fetch(path, { ...fields, method });
  if (answer.status === 403) return null;
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}
