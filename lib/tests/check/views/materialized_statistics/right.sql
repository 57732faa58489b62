alter materialized view v alter a set statistics 7;
