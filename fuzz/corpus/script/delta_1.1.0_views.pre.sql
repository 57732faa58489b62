-- These show the column that becomes a value list.

drop view water.zone_summary;
drop view water.pipe_overview;
