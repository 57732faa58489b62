create table "B" (a int primary key);
create table a (a int, constraint f foreign key (a) references "B");
