create table t (a integer, b timestamp without time zone, c character varying(5), d numeric, e double precision);
