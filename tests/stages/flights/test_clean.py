from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stages.flights.clean import AFTER_DEPARTURE, KEY, clean

Day = Callable[[str], tuple[pa.Table, pa.Table]]


def changed(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    return table.set_column(place, column, pa.array(values, table.schema.field(column).type))


def counts(parts: dict[str, pa.Table]) -> dict[str, int]:
    row: dict[str, int] = parts["counts"].to_pylist()[0]
    return row


def test_a_real_day(day: Day) -> None:
    flights, weather = day("2013-02-12")
    parts = clean(flights, weather)
    found = counts(parts)
    assert found["not_arrived"] == flights["arr_delay"].null_count > 0
    assert found["read"] == flights.num_rows
    assert found["kept"] == parts["rows"].num_rows == found["read"] - found["not_arrived"]
    late = pc.sum(pc.greater(flights["arr_delay"], 15)).as_py()
    assert pc.sum(parts["rows"]["late"]).as_py() == late > 0


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("carrier", None, "incomplete"),
        ("time_hour", None, "incomplete"),
        ("distance", None, "incomplete"),
        ("arr_delay", None, "not_arrived"),
        ("arr_delay", -121, "impossible"),
        ("arr_delay", 99_999, "impossible"),
    ],
)
def test_each_reason_is_counted(day: Day, column: str, value: object, reason: str) -> None:
    flights, weather = day("2013-01-01")
    before = counts(clean(flights, weather))
    after = counts(clean(changed(flights, column, 3, value), weather))
    assert after == before | {reason: before[reason] + 1, "kept": before["kept"] - 1}


def test_a_departure_that_comes_twice_is_counted_once(day: Day) -> None:
    flights, weather = day("2013-01-01")
    twice = changed(pa.concat_tables([flights, flights.slice(3, 2)]), "arr_delay", flights.num_rows, 60)
    parts, alone = clean(twice, weather), clean(flights, weather)
    assert counts(parts)["duplicate"] == 2
    assert parts["rows"] == alone["rows"]


def test_a_row_with_two_faults_counts_once(day: Day) -> None:
    flights, weather = day("2013-01-01")
    flights = changed(changed(flights, "arr_delay", 3, None), "dest", 3, None)
    found = counts(clean(flights, weather))
    removed = sum(found[reason] for reason in ("incomplete", "not_arrived", "duplicate", "impossible"))
    assert found["incomplete"] == 1
    assert removed == found["read"] - found["kept"]


def test_bounds_and_lateness_are_parameters(day: Day) -> None:
    flights, weather = day("2013-01-01")
    assert counts(clean(flights, weather, max_delay=60))["impossible"] > 0
    strict, mild = (clean(flights, weather, late_after=after)["rows"]["late"] for after in (0, 60))
    assert pc.sum(strict).as_py() > pc.sum(mild).as_py() > 0


def test_the_weather_is_that_of_the_hour_before(day: Day) -> None:
    flights, weather = day("2013-01-01")
    observed = {(row["origin"], row["time_hour"]): row["temp"] for row in weather.to_pylist()}
    rows = clean(flights, weather)["rows"].to_pylist()
    for row in rows:
        assert row["temp"] == observed.get((row["origin"], row["time_hour"] - timedelta(hours=1)))
    assert any(row["temp"] is not None for row in rows)


def test_the_unit_in_which_an_instant_is_stored_does_not_matter(day: Day) -> None:
    flights, weather = day("2013-01-01")
    place = flights.schema.get_field_index("time_hour")
    finer = flights.set_column(place, "time_hour", flights["time_hour"].cast(pa.timestamp("us", "UTC")))
    assert clean(finer, weather)["rows"]["temp"] == clean(flights, weather)["rows"]["temp"]


def test_flights_without_weather_stay_and_are_counted(day: Day) -> None:
    parts = clean(*day("2013-12-31"))
    found = counts(parts)
    assert found["kept_without_weather"] == found["kept"] == parts["rows"]["temp"].null_count > 0
    assert parts["rows"].schema == clean(*day("2013-01-01"))["rows"].schema


def test_an_hour_observed_twice_does_not_double_its_flights(day: Day) -> None:
    flights, weather = day("2013-01-01")
    assert clean(flights, pa.concat_tables([weather, weather])) == clean(flights, weather)


def test_a_wind_that_cannot_be_is_a_gap(day: Day) -> None:
    flights, weather = day("2013-02-12")
    assert pc.max(weather["wind_speed"]).as_py() > 1000
    rows = clean(flights, weather, weather_hours_before=3)["rows"]
    assert pc.max(rows["wind_speed"]).as_py() < 100
    assert rows["wind_speed"].null_count > rows["temp"].null_count


def test_nothing_known_only_after_departure_is_left_but_the_target(day: Day) -> None:
    flights, weather = day("2013-01-01")
    shuffled = flights
    for name in AFTER_DEPARTURE:
        place = flights.schema.get_field_index(name)
        shuffled = shuffled.set_column(
            place, name, pa.array(flights[name].to_pylist()[::-1], flights[name].type)
        )
    assert clean(shuffled, weather)["rows"] == clean(flights, weather)["rows"]
    assert not set(AFTER_DEPARTURE) & set(clean(flights, weather)["rows"].column_names)


def test_the_order_of_the_raw_rows_does_not_matter(day: Day) -> None:
    flights, weather = day("2013-06-30")
    order = np.random.default_rng(1).permutation(flights.num_rows)
    assert clean(flights.take(order), weather)["rows"] == clean(flights, weather)["rows"]


def test_the_date_is_the_local_one(day: Day) -> None:
    rows = clean(*day("2013-06-30"))["rows"]
    assert {str(value) for value in rows["date"].to_pylist()} == {"2013-06-30"}
    assert set(rows["weekday"].to_pylist()) == {6}
    assert len({str(value.date()) for value in rows["time_hour"].to_pylist()}) == 2


def test_a_missing_column_is_named(day: Day) -> None:
    flights, weather = day("2013-01-01")
    with pytest.raises(ValueError, match="flights has no column dest;"):
        clean(flights.drop_columns(["dest"]), weather)
    with pytest.raises(ValueError, match="weather has no column visib;"):
        clean(flights, weather.drop_columns(["visib"]))
    with pytest.raises(ValueError, match="flights has no column delay;"):
        clean(flights, weather, target="delay")


def test_a_day_without_flights_is_empty(day: Day) -> None:
    flights, weather = day("2013-01-01")
    parts = clean(flights.slice(0, 0), weather)
    assert parts["rows"].schema == clean(flights, weather)["rows"].schema
    assert set(counts(parts).values()) == {0}
    assert set(KEY) <= set(parts["rows"].column_names)
