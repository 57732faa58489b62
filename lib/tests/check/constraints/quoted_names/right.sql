alter table "T" add constraint "K" primary key ("b ""c", "A");
