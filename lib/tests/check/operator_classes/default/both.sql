create type e as enum ('a');
create function eq(e, e) returns boolean language sql immutable as 'select true';
create operator = (leftarg = e, rightarg = e, function = eq);
