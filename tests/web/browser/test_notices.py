"""What concerns every bed at once stands on top of the page as long as it is so."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.system

SHOW = """async ([notices, isUp]) => {
  const { Notices } = await import("/js/notices.js");
  await (await import("/js/i18n.js")).loadTexts();
  window.notices ??= new Notices();
  window.notices.refresh(notices, { isUp, hubNow: 10000 });
  const rows = [...window.notices.element.querySelectorAll(".notice")];
  return { hidden: window.notices.element.hidden,
           rows: rows.map((row) => [row.className, row.querySelector(".b").textContent,
                                    row.querySelectorAll("svg path").length]) };
}"""
AWAY = {"kind": "store_away", "since_ms": 5000, "count": None}
FULL = {"kind": "beds_full", "since_ms": 5000, "count": 3}


def test_each_notice_has_its_words_and_its_own_shape(modules: Page):
    shown = modules.evaluate(SHOW, [[AWAY, FULL], True])
    assert not shown["hidden"]
    [away, full] = shown["rows"]
    assert away[0] == "notice store_away"
    assert "データベースに保存できません" in away[1]
    assert "3床" in full[1]
    assert away[2] == full[2] == 3


def test_a_notice_goes_when_it_is_over_and_while_the_hub_is_silent(modules: Page):
    assert modules.evaluate(SHOW, [[AWAY], True])["hidden"] is False
    assert modules.evaluate(SHOW, [[AWAY], False])["hidden"] is True
    assert modules.evaluate(SHOW, [[], True])["hidden"] is True
