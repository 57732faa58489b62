alter table a disable trigger all;
alter table "B" disable trigger all;
