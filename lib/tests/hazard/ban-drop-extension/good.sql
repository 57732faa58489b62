create extension hstore schema s;
drop extension hstore;
