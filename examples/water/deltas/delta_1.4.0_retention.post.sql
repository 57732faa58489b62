-- Who is at home and who is not can be told from daily readings: they are kept for the last year only, before it month
-- ends remain. What was billed remains anyhow, the rule reading_keep_billed sees to that.
-- This cannot be undone, and therefore comes after everything else.

delete from water.reading
 where read_on < (select date_trunc('year', max(read_on))::date from water.reading)
   and extract(day from read_on + 1) <> 1;

comment on table water.reading is 'Of the years before the last one those of month ends and those that were billed';
