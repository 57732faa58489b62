alter materialized view m set tablespace pum_space;
