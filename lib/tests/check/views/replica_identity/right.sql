alter materialized view m replica identity full;
