alter table t add constraint k exclude using gist (box(point(a, a), point(b, b)) with ~=);
