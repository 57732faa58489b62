begin;
select %(SRID)s, 5 % 3;
commit;
