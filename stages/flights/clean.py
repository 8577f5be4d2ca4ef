"""One day's flights and weather to the rows that a model may see.

    rows/2013-01-01.parquet     one row a flight: what it is, when it is due to leave, the weather
                                before that, `arr_delay`, `late`
    counts/2013-01-01.parquet   one row: read 842, incomplete 0, not_arrived 11, duplicate 0,
                                impossible 0, kept 831, kept_without_weather 0

What is known only after a flight has left is dropped here, so that no later stage can learn from
it by accident; of that, only the target stays, as the answer to be predicted. A flight without an
observation keeps its row, with empty weather: the model fills the gap from its training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# What identifies a departure.
KEY = ("carrier", "flight", "origin", "time_hour")

REQUIRED = (*KEY, "year", "month", "day", "hour", "minute", "dest", "distance")
# `tailnum` too: it names the aircraft that flew, and is missing where none did.
AFTER_DEPARTURE = ("dep_time", "dep_delay", "arr_time", "air_time", "tailnum")

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
# Miles per hour, the record of a surface station. The data holds a 1,048: misread, not a storm.
STRONGEST_WIND = 231.0

HOUR_MS = 3_600_000
Mask = npt.NDArray[np.bool_]


def clean(
    flights: pa.Table,
    weather: pa.Table,
    *,
    target: str = "arr_delay",
    late_after: int = 15,
    min_delay: int = -120,
    max_delay: int = 1440,
    weather_hours_before: int = 1,
) -> dict[str, pa.Table]:
    """The rows of one day that can be learnt from, and how many were removed for each reason.

    Delays are in minutes; `late` is a `target` above `late_after`. A removed row counts once,
    under the first reason that applies. Raises ValueError where a column is missing.
    """
    _demand(flights, "flights", (*REQUIRED, target))
    _demand(weather, "weather", ("origin", "time_hour", *WEATHER))
    rules: dict[str, Callable[[pa.Table], Mask]] = {
        "incomplete": lambda rows: _present(rows, REQUIRED),
        "not_arrived": lambda rows: _present(rows, (target,)),
        "duplicate": lambda rows: _first_of(_joined(rows, KEY)),
        "impossible": lambda rows: _between(rows[target], min_delay, max_delay),
    }
    rows, counts = flights, {"read": flights.num_rows}
    for reason, keep in rules.items():
        left = rows.filter(pa.array(keep(rows)))
        counts[reason] = rows.num_rows - left.num_rows
        rows = left
    rows = _dated(rows.drop_columns([name for name in AFTER_DEPARTURE if name in rows.column_names]))
    rows, without = _with_weather(rows, weather, weather_hours_before)
    counts |= {"kept": rows.num_rows, "kept_without_weather": without}
    rows = rows.append_column("late", pc.greater(rows[target], late_after))
    return {"rows": rows.sort_by([(name, "ascending") for name in KEY]), "counts": _one_row(counts)}


def _demand(table: pa.Table, name: str, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(f"{name} has no column {', '.join(missing)}; it has {', '.join(table.column_names)}")


def _present(rows: pa.Table, columns: Sequence[str]) -> Mask:
    present = np.ones(rows.num_rows, bool)
    for column in columns:
        present &= pc.is_valid(rows[column]).to_numpy()
    return present


def _between(column: pa.ChunkedArray, low: int, high: int) -> Mask:
    values = column.to_numpy()
    inside: Mask = (values >= low) & (values <= high)
    return inside


def _first_of(keys: pa.ChunkedArray) -> Mask:
    """True for the first row, in the file's order, of each key."""
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first


def _joined(rows: pa.Table, columns: Sequence[str], hours: int = 0) -> pa.ChunkedArray:
    """One text a row, "AA|1141|JFK|1357034400000", with instants moved by `hours`."""
    texts = []
    for column in columns:
        values = rows[column]
        if pa.types.is_timestamp(values.type):
            instants = values.cast(pa.timestamp("ms", tz=values.type.tz))
            values = pc.add(instants.cast(pa.int64()), hours * HOUR_MS)
        texts.append(values.cast(pa.string()))
    return pc.binary_join_element_wise(*texts, "|")


def _dated(rows: pa.Table) -> pa.Table:
    """Two more columns: `date`, the local day of the scheduled departure, and `weekday`, Monday 0."""
    year, month, day = (rows[name].to_numpy().astype(np.int64) for name in ("year", "month", "day"))
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = pa.array(months.astype("datetime64[D]") + (day - 1))
    weekday = pc.day_of_week(dates).cast(pa.int32())
    return rows.append_column("date", dates).append_column("weekday", weekday)


def _with_weather(rows: pa.Table, weather: pa.Table, hours_before: int) -> tuple[pa.Table, int]:
    """The last observation that is certainly older than the departure, and how many have none.

    An observation labelled 10:00 is the first one of that hour, in fact mostly taken at 10:51. A
    flight due at 10:05 may therefore only use the one labelled 09:00.
    """
    known = weather.filter(pa.array(_present(weather, ("origin", "time_hour"))))
    known = known.filter(pa.array(_first_of(_joined(known, ("origin", "time_hour")))))
    wanted = _joined(rows, ("origin", "time_hour"), -hours_before)
    found = pc.index_in(wanted, value_set=_joined(known, ("origin", "time_hour")).combine_chunks())
    observed = known.select(WEATHER).take(found)
    for name in WEATHER:
        rows = rows.append_column(name, observed[name])
    credible = pc.less_equal(rows["wind_speed"], STRONGEST_WIND)
    place = rows.schema.get_field_index("wind_speed")
    wind = pc.if_else(credible, rows["wind_speed"], pa.scalar(None, rows["wind_speed"].type))
    return rows.set_column(place, "wind_speed", wind), found.null_count


def _one_row(counts: dict[str, int]) -> pa.Table:
    return pa.table({name: pa.array([count], pa.int64()) for name, count in counts.items()})
