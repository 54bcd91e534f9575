// Hatches: thin 45° for gaps and stale data, reverse and thicker for a dark site or hub.

const SIZE = { gap: 7, dark: 8 };

/** Hatch a rectangle (device px); lines are anchored to absolute columns so that neighbours join. */
export function hatch(ctx, x, y, w, h, { kind = "gap", color, originX = 0, scale = 1 }) {
  if (w <= 0 || h <= 0) return;
  const step = SIZE[kind] * scale;
  const rise = kind === "dark" ? -1 : 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  ctx.strokeStyle = color;
  ctx.lineWidth = (kind === "dark" ? 2.2 : 1) * scale;
  ctx.beginPath();
  const phase = (((x + originX) % step) + step) % step;
  for (let at = x - phase - h - step; at < x + w + h + step; at += step) {
    ctx.moveTo(at, rise > 0 ? y + h : y);
    ctx.lineTo(at + h, rise > 0 ? y : y + h);
  }
  ctx.stroke();
  ctx.restore();
}
