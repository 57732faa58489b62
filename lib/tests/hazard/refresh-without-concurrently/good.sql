refresh materialized view concurrently s.summary;
