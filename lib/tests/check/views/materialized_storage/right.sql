alter materialized view v alter b set storage external;
