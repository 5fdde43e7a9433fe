// Asks for what changes slowly: at most once a minute, and again with the next figures if that failed.

import { authorization } from "./key_form.js";

const POLL_MS = 60_000;
const TIMEOUT_MS = 10_000;

export class Minutely {
  // `draw` is given each answer of `path`.
  constructor(path, draw) {
    [this.path, this.draw] = [path, draw];
    this.askedAt = 0;
  }

  async refresh() {
    if (Date.now() - this.askedAt < POLL_MS) return;
    this.askedAt = Date.now();
    try {
      const fields = { cache: "no-store", credentials: "omit", headers: authorization(), signal: AbortSignal.timeout(TIMEOUT_MS) };
      const answer = await fetch(this.path, fields);
      if (answer.ok) this.draw(await answer.json());
    } catch {
      this.askedAt = 0;
    }
  }
}
