// Elements without markup: text enters the page only through textContent.

const SVG = "http://www.w3.org/2000/svg";

/** h("div", "class names", child, "text", …); a null child is left out. */
export function h(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Write text only if it changed: a quiet wall makes no layout work. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name, isOn) {
  element.classList.toggle(name, Boolean(isOn));
}

export function button(className, label, onClick, aria = null) {
  const element = h("button", className, label);
  element.type = "button";
  if (aria) element.setAttribute("aria-label", aria);
  element.addEventListener("click", (event) => {
    event.stopPropagation();
    onClick(event);
  });
  return element;
}

const ICONS = {
  link: ["M6.5 9.5l3-3", "M7 4.5l1.6-1.6a2.8 2.8 0 0 1 4 4L11 8.5", "M9 11.5l-1.6 1.6a2.8 2.8 0 0 1-4-4L5 7.5"],
  check: ["M3 8.5l3.2 3.2L13 4.5"],
  clock: ["M8 2a6 6 0 1 0 0 12 6 6 0 0 0 0-12z", "M8 4.8V8l2.2 1.6"],
  sound: ["M2.5 6.2v3.6h2.2L8 12.5v-9L4.7 6.2z", "M10.2 6a3 3 0 0 1 0 4", "M12 4.2a5.6 5.6 0 0 1 0 7.6"],
  back: ["M9.5 3L4.5 8l5 5"],
  play: ["M4.5 3.2v9.6L12.5 8z"],
  up: ["M4 12L12 4", "M5.5 4H12v6.5"],
  down: ["M4 4l8 8", "M12 5.5V12H5.5"],
  same: ["M2.5 8h11", "M9 3.5L13.5 8 9 12.5"],
};

export function icon(name, size = 16) {
  const paths = ICONS[name].map((d) => svg("path", { d }));
  return svg(
    "svg",
    {
      viewBox: "0 0 16 16", width: size, height: size, fill: "none", stroke: "currentColor",
      "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true",
    },
    ...paths,
  );
}

/** Four bars for the share of the last 10 minutes that carries signal. */
export function bars(share) {
  const full = share === null ? 0 : Math.round(share * 4);
  const rects = [0, 1, 2, 3].map((i) =>
    svg("rect", { x: 1 + i * 4, y: 10 - i * 3, width: 3, height: 4 + i * 3, fill: i < full ? "currentColor" : "none",
      stroke: "currentColor", "stroke-width": 0.8 }),
  );
  return svg("svg", { viewBox: "0 0 17 15", width: 18, height: 15, "aria-hidden": "true" }, ...rects);
}
