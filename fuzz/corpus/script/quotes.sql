create function f() returns int begin atomic select 1; select case when true then 2 end; end;
select $a$ ; $b$ ' $a$, E'\'', U&"x\0041", 'a''b';
/* a /* b */ ; */ select 1 -- ;
;;