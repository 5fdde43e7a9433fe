// Numbers, money and times as people read them.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const signedDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, signDisplay: "exceptZero" });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const wholePercent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });

const short = new Intl.NumberFormat(undefined, { notation: "compact" });

export const axis = (n) => (n < 10_000 ? whole : short).format(n);
export const count = (n) => whole.format(n);
export const score = (n) => (n >= 100 ? whole : oneDigit).format(n);
export const share = (part, all) => (all ? percent.format(part / all) : "–");

export const signed = (n) => signedDigit.format(n);

export function perSecond(n) {
  return n === null ? "–" : (n >= 100 ? whole : oneDigit).format(n);
}

export function milliseconds(ms) {
  return ms >= 10_000 ? `${oneDigit.format(ms / 1000)} s` : `${whole.format(ms)} ms`;
}

/** An amount with its currency; cents are left out of large sums so that they fit. */
export function money({ currency, amount }) {
  const value = Number(amount);
  const options = { style: "currency", currency };
  if (Math.abs(value) >= 1000) options.maximumFractionDigits = 0;
  return new Intl.NumberFormat(undefined, options).format(value);
}

/** A difference of amounts in minor units, with its sign. */
export function minor(amount, currency) {
  const digits = new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  return new Intl.NumberFormat(undefined, { style: "currency", currency, signDisplay: "exceptZero" }).format(amount / 10 ** digits);
}

export function clock(iso, timeZone, options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) {
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone }).format(new Date(iso));
}

export function moment(iso, timeZone) {
  return clock(iso, timeZone, { dateStyle: "medium", timeStyle: "short" });
}

/** How long ago, in one unit. */
export function age(ms) {
  const s = Math.max(0, ms / 1000);
  if (s < 60) return `${whole.format(Math.floor(s))} s`;
  if (s < 3600) return `${whole.format(Math.floor(s / 60))} min`;
  return s < 86_400 ? `${whole.format(Math.floor(s / 3600))} h` : `${whole.format(Math.floor(s / 86_400))} d`;
}

/** Today against yesterday: `{text, direction}`; direction is up, down or empty. */
export function change(today, yesterday) {
  if (!yesterday) return { text: "", direction: "" };
  const part = today / yesterday - 1;
  if (Math.abs(part) < 0.005) return { text: "same as yesterday", direction: "" };
  const direction = part > 0 ? "up" : "down";
  return { text: `${part > 0 ? "▲" : "▼"} ${wholePercent.format(Math.abs(part))}`, direction };
}
