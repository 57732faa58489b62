alter table "T" add constraint "K" primary key ("A", "b ""c");
