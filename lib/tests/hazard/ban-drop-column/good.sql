alter table s.pipe add column note text;
alter table s.pipe drop column note;
alter table s.pipe alter column code drop default;
