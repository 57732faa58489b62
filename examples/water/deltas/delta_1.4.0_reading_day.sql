-- What the whole town used on a day.
-- An avoidable lock: nobody writes a reading while this index is built. The next delta builds another one as it should be.

create index reading_day_idx on water.reading (read_on, value_m3);
