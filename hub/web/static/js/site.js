// The bar of a delivery site's own page: the link to the centre, what waits to be sent, the centre's advice.

import { confirmAdvice, readSite } from "./api.js";
import { button, h, setClass } from "./dom.js";
import { clockText, small, span, t } from "./i18n.js";

const ASK_MS = 1000;
const BEHIND_FRAMES = 60; // less than this is under way, not a backlog
const CLOCK_WARN_MS = 200;
const DISK_WARN_PERCENT = 20;
const ADVICE_SHOWN = 3;

export class SiteBar {
  constructor(app) {
    this.app = app;
    this.now = null; // the agent's last answer
    this.most = 0; // largest backlog of this outage, for the share that is sent again
    this.line = h("div", "line");
    this.advice = h("div", "advice");
    this.element = h("section", "sitebar", this.line, this.advice);
    this.element.setAttribute("aria-live", "polite");
    this.ask();
    setInterval(() => this.ask(), ASK_MS);
  }

  /** Whether the centre does not hear this site: then this page sounds by itself.  Unknown counts as away. */
  get isAway() {
    return this.now === null || this.now.link !== "connected";
  }

  async ask() {
    try {
      this.now = await readSite();
    } catch {
      this.now = null; // the block of a silent agent says the rest
    }
    this.refresh();
  }

  refresh() {
    const { now } = this;
    setClass(this.element, "away", this.isAway);
    if (now === null) {
      this.write(h("span", "mark", "▲"), h("div", "words", h("div", "b", t("agent.unknown"))));
      return;
    }
    this.most = now.backlog_frames < BEHIND_FRAMES ? 0 : Math.max(this.most, now.backlog_frames);
    const isBehind = this.most > 0 && !this.isAway;
    setClass(this.element, "behind", isBehind);
    const waiting = t("agent.waiting", {
      n: now.backlog_frames,
      oldest: now.oldest_unacked_ms === null ? "–" : clockText(now.oldest_unacked_ms, "hms"),
    });
    if (this.isAway) {
      const age = span(now.t_ms - now.since_ms);
      this.write(
        h("span", "mark", "▲"),
        h("div", "words",
          h("div", "b", t("agent.away", { age, time: clockText(now.since_ms, "hms") }),
            h("span", "s", small("agent.away", { age, time: clockText(now.since_ms, "hms") }))),
          h("div", "more", `${t(`agent.link.${now.link}`)} · ${t("agent.away_do")} · ${waiting}`)),
      );
    } else if (isBehind) {
      const share = Math.round((1 - now.backlog_frames / this.most) * 100);
      const bar = h("progress");
      bar.max = 100;
      bar.value = share;
      this.write(h("span", "mark", "↑"), h("div", "words", h("div", "b", `${t("agent.behind", { share })} `, bar),
        h("div", "more", waiting)));
    } else {
      this.write(h("span", "mark", "●"), h("div", "words", h("div", "b", t("agent.reached"),
        h("span", "s", small("agent.reached"))), h("div", "more", this.facts().join(" · "))));
    }
    this.showAdvice();
  }

  facts() {
    const { now } = this;
    const out = [];
    if (now.live_batch_s > 1) out.push(t("agent.batched", { s: now.live_batch_s }));
    if (now.clock_offset_ms === null) out.push(t("agent.clock_unknown"));
    else if (Math.abs(now.clock_offset_ms) > CLOCK_WARN_MS) {
      out.push(`▲ ${t("agent.clock_off", { ms: now.clock_offset_ms })}`);
    }
    if (now.disk_free_percent !== null && now.disk_free_percent < DISK_WARN_PERCENT) {
      out.push(`▲ ${t("agent.disk", { percent: now.disk_free_percent })}`);
    }
    if (now.refused_ticks > 0) out.push(`▲ ${t("agent.refused", { n: now.refused_ticks })}`);
    if (now.damaged_outboxes > 0) out.push(`▲ ${t("agent.damaged", { n: now.frames_back })}`);
    return out.length ? out : [t("agent.well")];
  }

  write(...children) {
    this.line.replaceChildren(...children);
  }

  showAdvice() {
    const open = this.now.advice.filter((one) => one.confirmed_ms === null);
    const shown = open.length ? open.slice(-ADVICE_SHOWN) : this.now.advice.slice(-1);
    const key = JSON.stringify([shown.map((one) => [one.id, one.confirmed_ms]), document.documentElement.lang]);
    if (key === this.adviceKey) return; // a button may be under a finger
    this.adviceKey = key;
    this.advice.replaceChildren(...shown.map((one) => this.adviceCard(one)));
  }

  adviceCard(one) {
    const head = `${t("agent.advice", { bed: one.bed, author: one.author })} · ${clockText(one.t_ms, "hms")}`;
    const words = h("div", "words", h("div", "more", head), h("div", "b", one.text));
    if (one.confirmed_ms !== null) {
      const done = t("agent.confirmed", { by: one.confirmed_by, time: clockText(one.confirmed_ms, "hms") });
      return h("div", "card done", h("span", "mark", "✓"), words, h("span", "more", done));
    }
    return h("div", "card", h("span", "mark", "!"), words, button("main", t("agent.confirm"), () => this.confirm(one)));
  }

  async confirm(one) {
    const by = this.app.operator.name;
    if (!by) {
      this.app.operator.ask();
      this.app.say(t("ui.operator_hint"));
      return;
    }
    try {
      await confirmAdvice(one.id, by);
      await this.ask();
    } catch (error) {
      this.app.say(String(error.message ?? error), true);
    }
  }
}
