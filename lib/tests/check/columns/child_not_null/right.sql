alter table only t alter a set not null;
