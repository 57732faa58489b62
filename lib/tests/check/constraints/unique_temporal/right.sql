alter table r add constraint k unique (id, p without overlaps);
