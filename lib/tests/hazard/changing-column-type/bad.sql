alter table s.pipe alter column length type bigint;
