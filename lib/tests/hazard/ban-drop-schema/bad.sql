drop schema old cascade;
