alter table s.pipe alter column length set not null;
