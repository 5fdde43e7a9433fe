// What one visitor is recommended, and what they did last: the newest visitor, or one who is named.

import { element } from "./chart.js";
import { authorization } from "./key_form.js";
import * as format from "./format.js";

const TIMEOUT_MS = 4_000;
const SILENT_MS = 60_000; // after so long somebody else is followed
const SHOWN = 6;
const SEEN = 4;
const WORDS = { view: "viewed", favorite: "kept", cart: "added", remove_from_cart: "removed", purchase: "bought" };

export class Recommended {
  constructor(card) {
    this.card = card;
    this.input = card.querySelector("input");
    this.did = card.querySelector(".did");
    this.list = card.querySelector("ol");
    this.note = card.querySelector(".empty");
    this.hint = card.querySelector(".hint");
    this.followed = "";
    this.refused = false;
    card.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.refresh();
    });
  }

  // Draws what is answered now; without the rights to ask the card stays hidden.
  async refresh() {
    if (this.asking || this.refused) return;
    this.asking = true;
    try {
      await this.follow();
      const user = this.input.value.trim() || this.followed;
      const query = new URLSearchParams({ limit: SHOWN, preview: "1", exclude_seen: "1", ...(user && { user_id: user }) });
      const answer = await ask(`/v1/recommendations?${query}`);
      this.draw(answer, answer.is_known ? await ask(`/v1/users/${encodeURIComponent(user)}`) : null, user);
    } catch (error) {
      this.refused = error instanceof Refused;
      if (this.refused) this.card.hidden = true;
    }
    this.asking = false;
  }

  // Stays with a visitor as long as they act.
  async follow() {
    if (this.input.value.trim() || (this.followed && Date.now() - this.actedAt < SILENT_MS)) return;
    const found = await ask("/v1/users?limit=1");
    this.followed = found?.visitors[0]?.user_id ?? "";
    this.actedAt = Date.now();
  }

  draw(answer, state, user) {
    this.card.hidden = false;
    const last = state && Date.parse(state.recent[0]?.at);
    if (last && user === this.followed && last !== this.lastAt) [this.lastAt, this.actedAt] = [last, Date.now()];
    this.input.placeholder = this.followed || "Visitor";
    const instead = answer.answered_by && answer.answered_by !== answer.scenario;
    put(this.hint, instead ? `answered by ${answer.answered_by.replaceAll("_", " ")}` : "changes with each click");
    put(this.did, describe(state?.recent ?? [], user));
    put(this.note, answer.items.length ? "" : "No product is known yet.");
    this.note.hidden = !this.note.textContent;
    const known = new Set([...this.list.children].map((row) => row.dataset.id));
    const isSame = this.drawnFor === user;
    this.drawnFor = user;
    const rows = answer.items.map((item) => drawItem(item, isSame && !known.has(item.product_id)));
    if (rows.map((row) => row.textContent).join() !== [...this.list.children].map((row) => row.textContent).join()) this.list.replaceChildren(...rows);
  }
}

class Refused extends Error {}

function drawItem({ product_id: id, place, title, price, reason }, isNew) {
  const row = element("li", { class: isNew ? "fresh" : "" });
  row.dataset.id = id;
  const name = text("span", title ?? id, { class: "name", title: id });
  row.append(text("span", place, { class: "rank" }), name, text("span", reason.words, { class: "why" }), text("span", price ? format.money(price) : "", { class: "price" }));
  return row;
}

function describe(recent, user) {
  if (!user) return "Nobody in particular";
  if (!recent.length) return `${user}: nothing known yet`;
  const did = recent.slice(0, SEEN).map(({ event_type: type, product_id: id }) => `${WORDS[type]} ${id ?? "an order"}`);
  return `${user}: ${did.join(", ")}`;
}

function put(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function text(kind, words, fields = {}) {
  const node = element(kind, fields);
  node.textContent = words;
  return node;
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", credentials: "omit", headers: authorization(), signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (answer.status === 401 || answer.status === 403) throw new Refused();
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}
