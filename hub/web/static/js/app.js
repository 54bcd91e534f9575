// The page: one store, one link, one view at a time, one scheduler.

import { Alerts } from "./alerts.js";
import { BedView } from "./bed.js";
import { Desk } from "./desk.js";
import { h, setClass, setText } from "./dom.js";
import { clockText, isSitePage, otherLanguage, setLanguage, span, t } from "./i18n.js";
import { KeyCard } from "./keycard.js";
import { Link } from "./link.js";
import { noteRound } from "./metrics.js";
import { Notices } from "./notices.js";
import { Operator } from "./header.js";
import { SiteBar } from "./site.js";
import { Sounder } from "./sound.js";
import { Store } from "./store.js";
import { refreshTheme, toggleTheme } from "./theme.js";
import { Wall } from "./wall.js";

const DRAW_MS = 100; // at most 10 drawings a second
const WORDS_MS = 500;
const RIBBON_HOURS = [4, 8, 12];

export class App {
  constructor(root, lost, said) {
    this.root = root;
    this.lost = lost;
    this.said = said;
    this.store = new Store();
    this.memory = { ribbonHours: 4, cmPerMin: 3, focus: null, page: 0 };
    this.operator = new Operator();
    this.sounder = new Sounder();
    this.desk = new Desk(this);
    this.keyCard = new KeyCard();
    document.body.append(this.keyCard.element);
    this.notices = new Notices();
    root.before(this.notices.element);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.link = new Link(`${scheme}://${location.host}/ws/v1/live`, {
      snapshot: (message, now) => this.store.snapshot(message, now),
      update: (message, now) => this.store.update(message, now),
      batch: (batch, now) => this.store.batch(batch, now),
    });
    // A delivery site's own page, served by its agent: no reading here, and sound only while the centre is away.
    this.site = isSitePage() ? new SiteBar(this) : null;
    if (this.site) root.before(this.site.element);
    this.drawnAt = 0;
    this.wordsAt = 0;
  }

  start() {
    this.link.start();
    window.addEventListener("hashchange", () => this.route());
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("resize", () => this.refresh());
    setInterval(() => refreshTheme(), 30000);
    // Words also without frames: a hidden tab gets no animation frames, but must not keep a number standing.
    setInterval(() => this.refresh(), 1000);
    this.route();
    requestAnimationFrame((at) => this.round(at));
  }

  context() {
    const now = performance.now();
    return { now, isUp: this.link.isUp(now), silentMs: this.link.silentMs(now), hubNow: this.store.clock.at(now) };
  }

  // ------------------------------------------------------------------ views

  route() {
    const [, name, site, bed, endMs] = location.hash.split("/").map(decodeURIComponent);
    this.view?.close?.();
    this.keyCard.close();
    if (name === "bed") this.view = new BedView(this, `${site}/${bed}`, Number(endMs) || null);
    else if (name === "alerts") this.view = new Alerts(this, site ?? null);
    else this.view = new Wall(this);
    this.root.replaceChildren(this.view.element);
    document.title = t("ui.page_title");
    this.refresh();
  }

  /** Open a bed, live or with the right edge of its strip at `endMs`. */
  openBed(bed, endMs = null) {
    const at = endMs === null ? "" : `/${Math.round(endMs)}`;
    location.hash = `#/bed/${encodeURIComponent(bed.site)}/${encodeURIComponent(bed.bed)}${at}`;
  }

  openAlert(alert) {
    this.desk.pick(alert.id);
    location.hash = `#/alerts/${encodeURIComponent(alert.id)}`;
  }

  openWall() {
    location.hash = "#/";
  }

  /** Key Esc: what lies on top goes first. */
  leave() {
    if (this.keyCard.isOpen) this.keyCard.close();
    else this.openWall();
  }

  swapLanguage() {
    setLanguage(otherLanguage());
    localStorage.setItem("ctg.language", document.documentElement.lang);
    const operator = new Operator();
    this.operator = operator;
    this.route();
  }

  /** Key ?: the key card of the view that is open. */
  swapKeyCard() {
    if (this.keyCard.isOpen) this.keyCard.close();
    else this.keyCard.open(this.view instanceof BedView ? "bed" : this.view instanceof Alerts ? "alerts" : "wall");
  }

  swapTheme() {
    toggleTheme();
    this.refresh();
  }

  // --------------------------------------------------------------- schedule

  round(at) {
    requestAnimationFrame((next) => this.round(next));
    if (at - this.drawnAt < DRAW_MS - 4) return;
    this.drawnAt = at;
    const startedAt = performance.now();
    const isTurn = this.link.isUp(startedAt) !== this.wasUp; // a lost or regained hub is said at once
    if (isTurn || startedAt - this.wordsAt >= WORDS_MS) this.refresh();
    const drawn = this.view.paint(this.context());
    noteRound(startedAt, drawn);
  }

  refresh() {
    const context = this.context();
    this.wordsAt = context.now;
    this.wasUp = context.isUp;
    this.showLoss(context);
    this.notices.refresh(this.store.notices, context);
    this.view?.refresh(context);
    const hasHigh = context.isUp && this.store.unacknowledged().some((alert) => alert.priority === "high");
    this.sounder.refresh(hasHigh && (this.site?.isAway ?? true), context.now);
  }

  /** The full-width block: this console hears no hub.  It stands until a fresh snapshot is here. */
  showLoss(context) {
    const isFirst = this.store.lastHubMs === null;
    const isLost = !context.isUp && !(isFirst && context.silentMs < 3000);
    this.lost.hidden = !isLost;
    setClass(document.documentElement, "is-lost", isLost);
    if (!isLost) return;
    const since = isFirst ? "" : t("ui.hub_silent_since", { time: clockText(this.store.lastHubMs, "hms") });
    const head = t(this.site ? "agent.silent" : "ui.hub_silent", { age: span(context.silentMs) });
    const key = head + since;
    if (this.lost.dataset.key === key) return;
    this.lost.dataset.key = key;
    this.lost.replaceChildren(head, h("small", "", `${since} ${t("ui.hub_silent_do")}`));
  }

  say(text, isBad = false) {
    setText(this.said, text);
    setClass(this.said, "bad", isBad);
    clearTimeout(this.sayTimer);
    this.said.classList.add("shown");
    this.sayTimer = setTimeout(() => this.said.classList.remove("shown"), 6000);
  }

  /** Alerts whose moment is drawn into the strip of a bed, on the site's clock. */
  linesOf(bed) {
    const skew = bed.view?.vitals.clock_offset_ms ?? 0;
    return this.store.alertsOf(bed).filter((a) => a.path !== "technical").map((a) => ({ ...a, raised_ms: a.raised_ms + skew }));
  }

  // ------------------------------------------------------------------- keys

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "INPUT") return;
    if (event.repeat && !event.key.startsWith("Arrow")) return;
    if (this.desk.key(event, this.view.alertForKey()) || this.view.key(event) || this.commonKey(event)) event.preventDefault();
  }

  commonKey(event) {
    const key = event.key.toLowerCase();
    if (key === "n") this.swapTheme();
    else if (key === "l") this.swapLanguage();
    else if (key === "?") this.swapKeyCard();
    else if (key === "escape") this.leave();
    else if (key === "[" || key === "]") {
      const at = RIBBON_HOURS.indexOf(this.memory.ribbonHours) + (key === "]" ? 1 : -1);
      this.memory.ribbonHours = RIBBON_HOURS[Math.min(Math.max(at, 0), RIBBON_HOURS.length - 1)];
      this.refresh();
    } else return false;
    return true;
  }
}
