-- pum: no-transaction

-- Meters that stand still: several readings with one value. The safe variant of the delta before: built CONCURRENTLY,
-- which takes longer and lets readings be written meanwhile. It cannot be in a transaction, hence the first line.

create index concurrently reading_standing_idx on water.reading (meter, value_m3);
