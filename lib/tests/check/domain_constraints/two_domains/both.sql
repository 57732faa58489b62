create schema s;
create schema t;
