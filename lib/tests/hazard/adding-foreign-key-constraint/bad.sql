alter table s.pipe add constraint pipe_zone_fkey foreign key (zone) references s.zone;
