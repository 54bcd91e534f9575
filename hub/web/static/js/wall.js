// The wall: tiles in fixed order, site then bed.  Nothing is ever sorted anew; the rail says what changed.

import { h } from "./dom.js";
import { Header } from "./header.js";
import { GAP, stripLayout, wallLayout } from "./layout.js";
import { notePainted } from "./metrics.js";
import { Rail } from "./rail.js";
import { Tile } from "./tile.js";

export class Wall {
  constructor(app) {
    this.app = app;
    this.tiles = new Map();
    this.page = app.memory.page ?? 0;
    this.header = new Header(app.operator, {
      onLanguage: () => app.swapLanguage(), onTheme: () => app.swapTheme(),
      onKeys: () => app.swapKeyCard(), onPage: (n) => this.turnTo(n),
    });
    this.rail = new Rail(app.desk, { onAlert: (alert) => app.openAlert(alert), onBed: (bed) => app.openBed(bed) });
    this.grid = h("main", "grid");
    this.element = h("div", "view", h("div", "wall", this.grid, this.rail.element));
    this.element.prepend(this.header.element);
    this.element.style.display = "contents";
  }

  arrange() {
    const beds = this.app.store.order;
    const { clientWidth: w, clientHeight: ht } = this.grid;
    const gap = w < 1800 ? GAP - 1 : GAP;
    const layout = wallLayout(beds.length, w, ht, gap);
    this.layout = layout;
    this.pages = Math.max(1, Math.ceil(beds.length / layout.perPage));
    this.page = Math.min(this.page, this.pages - 1);
    const shown = beds.slice(this.page * layout.perPage, (this.page + 1) * layout.perPage);
    const keep = new Set(shown.map((bed) => bed.key));
    for (const [key, tile] of this.tiles) {
      if (keep.has(key)) continue;
      tile.element.remove();
      this.tiles.delete(key);
    }
    shown.forEach((bed, i) => {
      let tile = this.tiles.get(bed.key);
      if (!tile) {
        tile = new Tile(bed, { onOpen: (b) => this.app.openBed(b) });
        this.tiles.set(bed.key, tile);
      }
      if (this.grid.children[i] !== tile.element) this.grid.insertBefore(tile.element, this.grid.children[i] ?? null);
      const column = i % layout.columns;
      const row = Math.floor(i / layout.columns);
      tile.place(column * (layout.w + gap), row * (layout.h + gap), layout);
    });
    if (this.app.memory.focus && !this.hasFocused) {
      this.hasFocused = true;
      this.tiles.get(this.app.memory.focus)?.element.focus({ focusVisible: true });
    }
  }

  refresh(context) {
    const { store } = this.app;
    this.arrange();
    const pxPerCm = store.order.length ? stripLayout(this.layout).pxPerCm : null;
    this.header.refresh(store, context, {
      layout: this.layout, page: this.page, pages: this.pages, pxPerCm, sounder: this.app.sounder,
    });
    for (const tile of this.tiles.values()) tile.refresh(context, store.alertsOf(tile.bed), this.app.memory.ribbonHours);
    this.rail.refresh(store, context);
  }

  paint(context) {
    let drawn = 0;
    for (const tile of this.tiles.values()) {
      if (!tile.display) continue;
      if (tile.paint(context, this.app.linesOf(tile.bed))) drawn += 1;
      notePainted(tile.bed);
    }
    return drawn;
  }

  turnTo(page) {
    this.page = Math.min(Math.max(page, 0), (this.pages ?? 1) - 1);
    this.app.memory.page = this.page;
    this.arrange();
  }

  focused() {
    return this.tiles.get(document.activeElement?.dataset?.bed) ?? null;
  }

  /** Arrows move in the grid, Enter opens; Tab is the browser's own reading order. */
  key(event) {
    const keys = [...this.tiles.keys()];
    const at = this.focused() ? keys.indexOf(this.focused().bed.key) : -1;
    const columns = this.layout?.columns ?? 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step !== undefined) {
      const next = at < 0 ? 0 : at + step;
      if (next >= 0 && next < keys.length) this.tiles.get(keys[next]).element.focus({ focusVisible: true });
      return true;
    }
    if (event.key === "Enter" && at >= 0) {
      this.app.openBed(this.focused().bed);
      return true;
    }
    if (event.key === "PageDown" || event.key === "PageUp") {
      this.turnTo(this.page + (event.key === "PageDown" ? 1 : -1));
      return true;
    }
    return false;
  }

  /** The alert that key A means: of the focused tile, else the first of the rail. */
  alertForKey() {
    const open = this.app.store.unacknowledged();
    const bed = this.focused()?.bed;
    return open.find((a) => bed && a.site === bed.site && a.bed === bed.bed) ?? open[0] ?? null;
  }

  close() {
    this.app.memory.focus = document.activeElement?.dataset?.bed ?? this.app.memory.focus;
  }
}
