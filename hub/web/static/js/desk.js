// Acknowledging: key A arms one alert, 1 to 4 give the reason; a digit alone never acknowledges.

import { acknowledge } from "./api.js";
import { REASONS } from "./card.js";
import { alertShort, t } from "./i18n.js";

export class Desk {
  constructor(app) {
    this.app = app;
    this.armed = null;
    this.picked = null;
  }

  isArmed(id) {
    return this.armed === id;
  }

  pick(id) {
    this.picked = id;
  }

  arm(id) {
    this.armed = this.armed === id ? null : id;
    this.picked = id;
    this.app.refresh();
  }

  disarm() {
    const was = this.armed !== null;
    this.armed = null;
    return was;
  }

  async confirm(alert, reason) {
    const by = this.app.operator.name;
    if (!by) {
      this.app.operator.ask();
      this.app.say(t("ui.operator_needed"));
      return;
    }
    this.armed = null;
    try {
      const changed = await acknowledge(alert, by, reason);
      if (changed.state === "clear") this.app.store.alerts.delete(changed.id);
      else this.app.store.alerts.set(changed.id, changed);
      this.app.say(t("ui.acknowledged_said", { what: alertShort(alert), by }));
    } catch (error) {
      this.app.say(t("ui.ack_failed", { why: error.message }), true);
    }
    this.app.refresh();
  }

  /** Keys A, 1-4 and Esc; true if the key was meant for here. */
  key(event, alert) {
    if (event.key === "a" || event.key === "A") {
      if (alert) this.arm(alert.id);
      return true;
    }
    const armed = this.armed && this.app.store.alerts.get(this.armed);
    if (armed && REASONS[Number(event.key) - 1]) {
      this.confirm(armed, REASONS[Number(event.key) - 1]);
      return true;
    }
    if (event.key === "Escape" && this.disarm()) {
      this.app.refresh();
      return true;
    }
    return false;
  }
}
