refresh materialized view s.summary;
