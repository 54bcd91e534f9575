import pytest

from hub.model import Classification, Reason
from hub.report.printed import verdict_of
from hub.report.words import Language, Words, clock, parse_clock


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 5400), ("1:30", 90), ("0:20", 20), ("1:02:03", 3723)]
)
def test_a_time_is_minutes_or_a_clock(text: str, seconds: float):
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1:2:3:4", "a", "1::2", "２"])
def test_anything_else_is_no_time(text: str):
    with pytest.raises(ValueError, match="expected minutes, m:ss or h:mm:ss"):
        parse_clock(text)


def test_a_time_is_shown_to_the_second():
    assert [clock(s) for s in (0, 59.6, 3600, 90000)] == ["0:00:00", "0:01:00", "1:00:00", "25:00:00"]


def test_a_value_that_is_not_there_is_a_dash_and_an_unknown_key_itself():
    words = Words("en")
    assert words("ui.compare", figo=None) == "FIGO – · NICHD – (comparison only)"
    assert words("no.such.key") == "no.such.key"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "late deceleration, severe, 48 s, ongoing, depth 31, nadir 109 bpm, signal 97%"),
        ("ja", "遅発一過性徐脈・高度 48秒 継続中、深さ 31、最低 109 bpm、信号 97%"),
    ],
)
def test_a_reason_is_a_sentence_without_codes(language: Language, sentence: str):
    reason = Reason(
        code="deceleration",
        start_s=0,
        end_s=48,
        values={
            "kind": "late",
            "severity": "severe",
            "duration_s": 47.8,
            "depth_bpm": 30.6,
            "nadir_bpm": 109.2,
            "readable_percent": 96.7,
            "ongoing": "yes",
        },
    )
    assert Words(language).reason(reason) == sentence


def test_the_class_of_a_reason_is_put_into_words():
    reason = Reason(
        code="variability", start_s=0, end_s=600, values={"variability_bpm": 4.0, "class": "minimal"}
    )
    assert Words("en").reason(reason) == "Variability 4 bpm (minimal)"
    assert Words("ja").reason(reason) == "細変動 4 bpm(減少)"


def test_a_window_without_a_level_is_never_a_level():
    window = Classification(start_s=0, end_s=600, level=None)
    assert verdict_of(window, Words("ja")) == "判定不能"
