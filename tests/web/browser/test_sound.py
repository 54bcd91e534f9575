"""The burst of a high alert, and the silence that has to be shown."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.system

START = """async () => {
  const { Sounder } = await import("/js/sound.js");
  window.sounder = new Sounder();
  await sounder.context.resume();
}"""
HEAR = """(seconds) => seconds.map(([hasHigh, now]) => {
  sounder.refresh(hasHigh, now);
  return sounder.bursts;
})"""


def test_a_high_alert_sounds_at_once_and_again_until_it_is_acknowledged(modules: Page):
    modules.evaluate(START)
    seconds = [[False, 0], [True, 100], [True, 5000], [True, 8100], [False, 8200], [True, 8300]]
    assert modules.evaluate(HEAR, seconds) == [0, 1, 1, 2, 2, 3]


def test_a_sound_that_the_browser_holds_back_is_known(modules: Page):
    modules.evaluate(START)
    assert modules.evaluate("sounder.mayPlay") is True
    modules.evaluate("sounder.context.suspend()")
    assert modules.evaluate("sounder.mayPlay") is False
    assert modules.evaluate(HEAR, [[True, 100]]) == [0]
