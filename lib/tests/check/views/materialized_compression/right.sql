alter materialized view m alter a set compression pglz;
