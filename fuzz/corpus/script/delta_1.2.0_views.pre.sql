-- These show the column that changes its type.

drop view water.consumption_by_year;
drop view water.consumption;
