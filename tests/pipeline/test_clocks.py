"""What an agent measured of its clock bounds the age of its own beds, unless the hub's clock was just set."""

from hub.model import Channel, FrameFlag, Lane, MonitorStatus, SiteHealth, Transducer, WaveFrame
from hub.pipeline import Pipeline
from hub.wire import samples_from_values

T0_MS = 1_763_610_000_000
SLOW_S = 9.0
HEALTH = SiteHealth(t_ms=T0_MS, backlog_frames=0, clock_offset_ms=-300_000.0, clock_delay_ms=40.0)
"""The site's clock is five minutes ahead of the hub's."""


def push_second(pipeline: Pipeline, site: str, at: int) -> None:
    """Let the second that ends at `at` on the hub's clock arrive late."""
    block = samples_from_values(Channel.FHR1, [140.0] * 4, transducer=Transducer.ULTRASOUND)
    t0_ms = T0_MS + at * 1000 - 1000 + 300_000
    frame = WaveFrame(site, "b", 1, at, t0_ms, 250, 4, FrameFlag.NONE, MonitorStatus.ON, (block,))
    pipeline.push_frame(
        frame, lane=Lane.LIVE, arrived_ms=T0_MS + round((at + SLOW_S) * 1000), now_s=at + SLOW_S
    )


def late_pipeline() -> Pipeline:
    pipeline = Pipeline(boot_id="test", capacity_beds=4)
    for at in range(1, 31):
        push_second(pipeline, "h1", at)
        push_second(pipeline, "h2", at)
        pipeline.tick(T0_MS + round((at + SLOW_S) * 1000), at + SLOW_S)
    return pipeline


def ages_ms(pipeline: Pipeline, now_s: float) -> dict[str, int | None]:
    return {view.site: view.vitals.age_ms for view in pipeline.views(None, now_s=now_s, with_analysis=False)}


def test_a_line_that_was_slow_from_the_start_is_known_as_soon_as_the_agent_told_its_offset():
    pipeline = late_pipeline()
    assert ages_ms(pipeline, 39.0) == {"h1": 0, "h2": 0}
    pipeline.push_health("h1", HEALTH, T0_MS + 39_000, 39.0)
    assert ages_ms(pipeline, 39.0) == {"h1": 8980, "h2": 0}


def test_an_offset_without_its_uncertainty_says_nothing():
    pipeline = late_pipeline()
    health = SiteHealth(t_ms=T0_MS, backlog_frames=0, clock_offset_ms=-300_000.0)
    pipeline.push_health("h1", health, T0_MS + 39_000, 39.0)
    assert ages_ms(pipeline, 39.0)["h1"] == 0


def test_a_hub_whose_own_clock_was_set_believes_no_offset_until_all_were_measured_anew():
    pipeline = late_pipeline()
    pipeline.push_health("h1", HEALTH, T0_MS + 39_000, 39.0)
    pipeline.tick(T0_MS + 40_000 + 300_000, 40.0)
    assert ages_ms(pipeline, 40.0)["h1"] == 1000
    pipeline.push_health("h1", HEALTH, T0_MS + 60_000 + 300_000, 60.0)
    assert ages_ms(pipeline, 60.0)["h1"] == 21_000
    pipeline.tick(T0_MS + 161_000 + 300_000, 161.0)
    anew = SiteHealth(t_ms=T0_MS, backlog_frames=0, clock_offset_ms=0.0, clock_delay_ms=40.0)
    pipeline.push_health("h1", anew, T0_MS + 161_000 + 300_000, 161.0)
    assert ages_ms(pipeline, 161.0)["h1"] == 122_000 + 8980
