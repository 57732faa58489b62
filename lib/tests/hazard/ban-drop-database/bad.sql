-- pum: no-transaction

drop database if exists no_such_database;
