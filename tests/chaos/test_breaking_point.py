"""The search for the breaking point names what broke first, and blames the hub for nothing but its own."""

import pytest

from chaos.breaking_point import LIMITS, PARTS, BreakingPoint, Step
from chaos.gauges import Snapshot, cpu_percent, lag_quantile_ms


def a_step(beds: int, *, others: float = 0.0, is_load_too_slow: bool = False, **figures: float) -> Step:
    calm = dict.fromkeys(LIMITS, 0.0) | {"beds": beds, "cpu_others": others}
    calm |= {f"cpu_{name}": 5.0 for name in PARTS} | {"cpu_hub": 99.0}
    return Step(calm | figures, is_load_too_slow)


def a_snapshot(at_s: float, ticks: dict[str, int], cpu_s: dict[str, float]) -> Snapshot:
    metrics = {f'ctg_loop_lag_seconds_bucket{{le="{limit}"}}': float(count) for limit, count in ticks.items()}
    return Snapshot(
        at_s=at_s, sent=0, late_ms=0, taken=0, refused=0, dropped=0, at_store=0, metrics=metrics, cpu_s=cpu_s
    )


def test_the_first_step_that_breaks_a_goal_is_named_with_its_goals_and_who_was_busy():
    result = BreakingPoint(
        [
            a_step(1000, lag_p99_ms=12.0),
            a_step(2000, lag_p99_ms=60.0, reading_s=90.0),
            a_step(3000, lag_p99_ms=900.0),
        ]
    )
    result.judge()
    assert result.verdict == (
        "held 1,000 beds; at 2,000 broke: lag_p99_ms 60.0 > 50, reading_s 90.0 > 15"
        "; % of a core: hub 99, broker 5, database 5, load 5"
    )


def test_all_that_was_tried_holds():
    result = BreakingPoint([a_step(1000), a_step(2000)])
    result.judge()
    assert result.verdict == "every goal held up to 2,000 beds"


def test_a_load_that_is_itself_too_slow_is_no_fault_of_the_hub():
    result = BreakingPoint([a_step(1000), a_step(2000, is_load_too_slow=True)])
    result.judge()
    assert result.verdict.startswith("held 1,000 beds; at 2,000 broke: no goal;")
    assert result.verdict.endswith("(in doubt: load generator too slow)")


def test_others_on_the_machine_are_told_beside_what_broke():
    step = a_step(2000, others=55.0, console_p99_ms=float("nan"))
    assert step.broken() == ["console_p99_ms"], "no frame on the console is no frame in time"
    assert step.remarks() == ["others take 55 %"]


def test_the_lag_is_read_from_the_ticks_of_the_span_alone():
    before = a_snapshot(0.0, {"0.01": 0, "0.05": 500, "+Inf": 500}, {})
    after = a_snapshot(60.0, {"0.01": 50, "0.05": 600, "+Inf": 600}, {})
    assert lag_quantile_ms(before, after, 0.5) == pytest.approx(10.0)
    assert lag_quantile_ms(before, after, 0.75) == pytest.approx(30.0)


def test_what_no_part_of_the_run_took_of_the_processor_is_with_the_others():
    before = a_snapshot(10.0, {}, {"hub": 5.0, "load": 1.0, "all": 20.0})
    after = a_snapshot(20.0, {}, {"hub": 14.0, "load": 1.5, "all": 35.0})
    assert cpu_percent(before, after) == pytest.approx({"hub": 90.0, "load": 5.0, "others": 55.0})
