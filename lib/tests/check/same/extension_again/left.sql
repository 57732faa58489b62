drop extension plpgsql; create extension plpgsql;
