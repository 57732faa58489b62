create temporary table zone as select * from s.zone;
truncate zone cascade;
