"""What a measurement of jobs tells."""

from benchmarks.commands.jobs import jobs_table
from benchmarks.measure.jobs import Jobs


def test_figures_are_compared_pair_by_pair() -> None:
    found = Jobs(
        rate=100.0,
        without_p99_ms=[10.0, 20.0, 10.0],
        with_p99_ms=[11.0, 22.0, 30.0],
        without_p50_ms=[5.0, 5.0, 5.0],
        with_p50_ms=[5.0, 6.0, 5.0],
        beside_rows_per_s=[40.0, 50.0, 60.0],
        alone_rows_per_s=[90.0, 80.0, 95.0],
        file_rows_per_s=[100.0, 100.0, 100.0],
    )
    assert round(found.p99_ratio, 6) == 1.1
    assert found.alone_ratio == 0.9
    table = jobs_table(found)
    assert ["p99 of other requests, ms", "10.0 / 20.0 / 10.0", "11.0 / 22.0 / 30.0"] in table.rows
    assert "1.10 times" in table.note
    assert "0.90 times as fast" in table.note
