alter materialized view m owner to pum_a;
