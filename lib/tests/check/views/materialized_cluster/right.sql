alter materialized view v cluster on i;
