create function s(int) returns int language sql as 'select 1';
