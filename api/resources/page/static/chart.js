// Stacked bars of events per minute as SVG, in two panels: carts and purchases would be a thin line under the views.

import { axis, clock, count } from "./format.js";

export const TYPES = [
  ["view", "Views"],
  ["favorite", "Favourites"],
  ["cart", "Carts"],
  ["remove_from_cart", "Removed"],
  ["purchase", "Purchases"],
];
const PANELS = [
  { types: ["view", "favorite"], share: 0.55 },
  { types: ["purchase", "cart", "remove_from_cart"], share: 0.45 },
];
const SVG = "http://www.w3.org/2000/svg";
const TOP = 8;
const BOTTOM = 22;
const BETWEEN = 18;
const LEFT = 46;
const LABEL_HALF = 18;

export class MinuteChart {
  #box;
  #minutes = [];
  #zone = "UTC";
  #hovered = null;

  constructor(box) {
    this.#box = box;
    box.addEventListener("pointermove", (event) => this.#hover(event));
    box.addEventListener("pointerleave", () => this.#hover(null));
    new ResizeObserver(() => this.#draw()).observe(box);
  }

  update(minutes, zone) {
    this.#minutes = minutes;
    this.#zone = zone;
    this.#draw();
  }

  #draw() {
    const minutes = this.#minutes;
    if (!minutes.length) return;
    const totals = minutes.map((minute) => TYPES.reduce((sum, [type]) => sum + minute[type], 0));
    if (!Math.max(...totals)) {
      const text = element("p", { class: "empty" });
      text.textContent = "No events in the last 30 minutes.";
      this.#box.replaceChildren(text);
      return;
    }
    const width = this.#box.clientWidth;
    const height = this.#box.clientHeight;
    const slot = (width - LEFT) / minutes.length;
    const svg = graphic("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.append(this.#title(totals));
    let top = TOP;
    for (const { types, share } of PANELS) {
      const bottom = top + (height - TOP - BETWEEN - BOTTOM) * share;
      svg.append(...this.#panel(types, { top, bottom, width, slot }));
      top = bottom + BETWEEN;
    }
    svg.append(...this.#times(slot, width, height));
    this.#box.replaceChildren(svg, ...this.#tip(slot, width, svg, height));
  }

  #title(totals) {
    const title = graphic("title", {});
    const last = totals.length - 2;
    title.textContent = `Events per minute over ${totals.length} minutes; ${count(totals[last])} in the last full minute`;
    return title;
  }

  #panel(types, { top, bottom, width, slot }) {
    const most = Math.max(...this.#minutes.map((minute) => types.reduce((sum, type) => sum + minute[type], 0)));
    const step = niceStep(most / 2);
    const highest = Math.max(Math.ceil(most / step), 1) * step;
    const y = (n) => bottom - (n / highest) * (bottom - top);
    const nodes = [];
    for (let n = 0; n <= highest; n += step) {
      nodes.push(graphic("line", { class: "grid", x1: LEFT, x2: width, y1: y(n), y2: y(n) }));
      nodes.push(label(axis(n), LEFT - 8, y(n) + 4, "end"));
    }
    const last = this.#minutes.length - 1;
    this.#minutes.forEach((minute, i) => {
      let below = 0;
      for (const type of types.filter((name) => minute[name])) {
        const from = y(below);
        below += minute[type];
        const fields = { x: LEFT + (i + 0.12) * slot, width: slot * 0.76, y: y(below), height: from - y(below) };
        nodes.push(graphic("rect", { ...fields, class: i === last ? `${type} running` : type }));
      }
    });
    return nodes;
  }

  #times(slot, width, height) {
    const every = slot < 14 ? 10 : 5;
    return this.#minutes.flatMap((minute, i) => {
      const x = LEFT + (i + 0.5) * slot;
      if (new Date(minute.start).getUTCMinutes() % every || x + LABEL_HALF > width) return [];
      return [label(clock(minute.start, this.#zone), x, height - 4, "middle")];
    });
  }

  #tip(slot, width, svg, height) {
    const minute = this.#minutes[this.#hovered];
    if (!minute) return [];
    const x = LEFT + this.#hovered * slot;
    svg.append(graphic("rect", { class: "cursor", x, width: slot, y: TOP, height: height - TOP - BOTTOM }));
    const tip = element("div", { class: "tip" });
    const head = element("b", {});
    head.textContent = clock(minute.start, this.#zone);
    tip.append(head);
    for (const [type, name] of TYPES) {
      const row = element("span", { class: type });
      const what = element("i", {});
      what.textContent = name;
      row.append(what, count(minute[type]));
      tip.append(row);
    }
    if (x < width / 2) tip.style.left = `${x + slot + 8}px`;
    else tip.style.right = `${width - x + 8}px`;
    return [tip];
  }

  #hover(event) {
    const box = this.#box.getBoundingClientRect();
    const slot = (box.width - LEFT) / this.#minutes.length;
    const i = event ? Math.floor((event.clientX - box.left - LEFT) / slot) : -1;
    const hovered = i >= 0 && i < this.#minutes.length ? i : null;
    if (hovered !== this.#hovered) {
      this.#hovered = hovered;
      this.#draw();
    }
  }
}

/** 1, 2 or 5 times a power of ten, at least `least` and at least 1. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

function label(text, x, y, anchor) {
  const node = graphic("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

function graphic(name, fields) {
  return withFields(document.createElementNS(SVG, name), fields);
}

export function element(name, fields) {
  return withFields(document.createElement(name), fields);
}

function withFields(node, fields) {
  for (const [field, value] of Object.entries(fields)) node.setAttribute(field, value);
  return node;
}
