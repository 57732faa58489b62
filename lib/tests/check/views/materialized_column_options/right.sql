alter materialized view m alter a set (n_distinct = 7);
