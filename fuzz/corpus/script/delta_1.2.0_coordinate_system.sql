-- The system of x and y differs from town to town and was written down nowhere.
-- SRID is its EPSG number, given as a variable.

insert into water_sys.setting (name, value) values ('srid', %(SRID)s::integer::text);
