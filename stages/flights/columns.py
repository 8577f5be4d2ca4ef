"""The types of the columns that the raw files are known to have, by name.

One table for flights and weather: where both have a column, it means the same in both. A type
that is declared here is the same in every file, also in a file of one row or of none; the types
of all other columns are inferred from the file at hand.
"""

from __future__ import annotations

import pyarrow as pa

INSTANT = pa.timestamp("ms", tz="UTC")

TYPES: dict[str, pa.DataType] = {
    # both: the local date and hour (of the scheduled departure, of the observation), the airport
    "year": pa.int32(),
    "month": pa.int32(),
    "day": pa.int32(),
    "hour": pa.int32(),
    "origin": pa.string(),
    "time_hour": INSTANT,
    # flights: times of day as 1745 for 17:45, delays and durations in minutes, distance in miles
    "dep_time": pa.int32(),
    "sched_dep_time": pa.int32(),
    "dep_delay": pa.int32(),
    "arr_time": pa.int32(),
    "sched_arr_time": pa.int32(),
    "arr_delay": pa.int32(),
    "carrier": pa.string(),
    "flight": pa.int32(),
    "tailnum": pa.string(),
    "dest": pa.string(),
    "air_time": pa.int32(),
    "distance": pa.int32(),
    "minute": pa.int32(),
    # weather: °F, percent, degrees, miles per hour, inches, millibars, miles
    "temp": pa.float64(),
    "dewp": pa.float64(),
    "humid": pa.float64(),
    "wind_dir": pa.float64(),
    "wind_speed": pa.float64(),
    "wind_gust": pa.float64(),
    "precip": pa.float64(),
    "pressure": pa.float64(),
    "visib": pa.float64(),
}
