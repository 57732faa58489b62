create materialized view m as select 'x'::text as a;
