truncate s.zone cascade;
