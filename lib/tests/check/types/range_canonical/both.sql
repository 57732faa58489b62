create type r;
create function c(r) returns r language internal immutable strict as 'int4range_canonical';
