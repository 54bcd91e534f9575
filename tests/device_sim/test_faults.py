import numpy as np
import pytest

from device_sim.faults import FaultPlan, compute_stamp_ms, find_deliveries, is_out

FRAMES = range(2000)


def deliveries(plan: FaultPlan, seed: int = 1) -> list[tuple[float, ...]]:
    return [find_deliveries(plan, seed, 0, seq) for seq in FRAMES]


def test_without_faults_each_frame_arrives_once_and_at_once() -> None:
    assert set(deliveries(FaultPlan())) == {(0.0,)}


def test_the_same_seed_gives_the_same_faults_and_another_gives_others() -> None:
    plan = FaultPlan(loss=0.3, jitter_s=0.5, duplicate=0.2, reorder=0.1)
    assert deliveries(plan, seed=3) == deliveries(plan, seed=3)
    assert deliveries(plan, seed=3) != deliveries(plan, seed=4)
    assert find_deliveries(plan, 3, 0, 1) != find_deliveries(plan, 3, 1, 1)


def test_loss_and_duplicates_have_the_share_asked_for() -> None:
    copies = np.array([len(d) for d in deliveries(FaultPlan(loss=0.2, duplicate=0.25))])
    assert (copies == 0).mean() == pytest.approx(0.2, abs=0.03)
    assert (copies == 2).sum() / (copies > 0).sum() == pytest.approx(0.25, abs=0.03)


def test_jitter_comes_on_top_of_the_delay() -> None:
    delays = np.array([d[0] for d in deliveries(FaultPlan(delay_s=2.0, jitter_s=0.5))])
    assert delays.min() >= 2.0
    assert delays.mean() == pytest.approx(2.5, abs=0.1)


def test_a_reordered_frame_is_overtaken_by_a_later_one() -> None:
    arrivals = np.arange(len(FRAMES)) + [d[0] for d in deliveries(FaultPlan(reorder=0.1))]
    overtaken = np.flatnonzero(arrivals[:-1] > arrivals[1:])
    assert 100 < overtaken.size < 300


def test_an_outage_follows_its_schedule() -> None:
    plan = FaultPlan(outage_every_s=300.0, outage_s=20.0)
    assert [s for s in range(0, 920) if is_out(plan, s)] == [
        *range(300, 320),
        *range(600, 620),
        *range(900, 920),
    ]
    assert not is_out(FaultPlan(), 10_000.0)


def test_a_wrong_clock_stays_on_its_own_grid() -> None:
    plan = FaultPlan(clock_offset_ms=-5000, clock_drift_ppm=100.0)
    stamps = np.array([compute_stamp_ms(plan, 1_000_000 + 1000 * s, float(s)) for s in range(20_000)])
    assert (stamps % 250 == 0).all()
    assert stamps[0] == 995_000
    assert set(np.diff(stamps)) == {1000, 1250}
    assert stamps[-1] - stamps[0] == pytest.approx(19_999_000 + 2000, abs=250)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"loss": 1.5}, "loss: expected a share"),
        ({"duplicate": -0.1}, "duplicate: expected a share"),
        ({"delay_s": -1.0}, "delay_s: expected seconds"),
        ({"jitter_s": float("nan")}, "jitter_s: expected seconds"),
        ({"outage_every_s": 10.0, "outage_s": 10.0}, "expected it shorter than"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultPlan(**plan)  # type: ignore[arg-type]  # the floats of the table, whatever the field
