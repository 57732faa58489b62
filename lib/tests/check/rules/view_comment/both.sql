create view v as select 1 as a;
create rule x as on delete to v do instead nothing;
