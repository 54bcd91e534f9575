// How many columns and which tile size: never a smaller scale than M, otherwise the next page.

export const GAP = 10;
const MIN_W = 340;
const MIN_H = 180;
const L = { w: 480, h: 320 };

/** {columns, rows, perPage, w, h, size: "l"|"m", hasToco} for n beds in an area of CSS pixels. */
export function wallLayout(n, width, height, gap = GAP) {
  const maxColumns = Math.max(1, Math.floor((width + gap) / (MIN_W + gap - 1)));
  const maxRows = Math.max(1, Math.floor((height + gap) / (MIN_H + gap)));
  const perPage = Math.min(Math.max(n, 1), maxColumns * maxRows);
  let best = null;
  for (let columns = 1; columns <= maxColumns; columns++) {
    const rows = Math.ceil(perPage / columns);
    if (rows > maxRows) continue;
    const w = (width - gap * (columns - 1)) / columns;
    const h = (height - gap * (rows - 1)) / rows;
    const score = Math.min(w / 514, h / 333);
    if (!best || score > best.score + 0.005) best = { columns, rows, w, h, score };
  }
  // A page that is not full keeps tiles of wall height instead of stretching them over the screen.
  const h = Math.floor(Math.min(best.h, best.w * 0.86));
  const size = best.w >= L.w && h >= L.h ? "l" : "m";
  return { ...best, w: Math.floor(best.w), h, perPage, size, hasToco: size === "l" || h >= 220 };
}

const FIXED = {
  l: { numbers: 94, sides: 20, rest: 18 + 70 + 37 + 25 + 18 },
  m: { numbers: 74, sides: 18, rest: 16 + 50 + 24 + 20 + 12 },
  low: { numbers: 74, sides: 16, rest: 12 + 50 + 24 + 20 + 9 },
};

/** Strip size inside a tile: width, height and CSS px per cm; the aspect never changes, only the size. */
export function stripLayout({ w, h, size, hasToco }) {
  const fixed = FIXED[size === "l" ? "l" : hasToco ? "m" : "low"];
  const width = w - fixed.numbers - fixed.sides;
  const height = h - fixed.rest;
  if (size === "l") {
    const foot = 13;
    const pxPerCm = Math.min((height - 4 - foot) / 11, width / 30);
    return { width, pxPerCm, tocoCm: 4, foot };
  }
  const minutes = 8.8;
  const wanted = width / (minutes * 3);
  if (!hasToco) return { width, pxPerCm: Math.min(wanted, height / 7), tocoCm: 0, foot: 0 };
  const pxPerCm = Math.min(wanted, (height - 4) / (7 + 2.4));
  return { width, pxPerCm, tocoCm: Math.min(4, Math.max(2.4, (height - 4) / pxPerCm - 7)), foot: 0 };
}
