alter table t drop constraint n;
alter table t add constraint n not null a not valid;
